/**
 * The fields of a protobuf message that lies in a file, one after the other, without reading what is
 * skipped: a window of 16 KiB moves over the file, so that a model of gigabytes costs no memory.
 */
import type { FileHandle } from 'node:fs/promises';
import protobuf from 'protobufjs/minimal.js';

const windowBytes = 16 * 1024;
/** A tag takes at most 5 bytes, a length or a varint at most 10. */
const headerBytesMax = 15;

/** The bytes are not a protobuf message, or end too early. The message completes "the file ...". */
export class ProtobufFileError extends Error {
  override readonly name = 'ProtobufFileError';
}

/** Where the value of a field lies: `[start, end)` in bytes from the start of the file. */
export interface FieldSpan {
  readonly number: number;
  /** 0 varint, 1 eight bytes, 2 length-delimited (its length excluded from the span), 5 four bytes. */
  readonly wire: number;
  readonly start: number;
  readonly end: number;
}

export class ProtobufFile {
  readonly #handle: FileHandle;
  readonly #sizeBytes: number;
  readonly #window = new Uint8Array(windowBytes);
  #windowStart = 0;
  #windowEnd = 0;

  constructor(handle: FileHandle, sizeBytes: number) {
    this.#handle = handle;
    this.#sizeBytes = sizeBytes;
  }

  /** The fields of the message in `[start, end)`, the whole file by default. */
  async *fields(start = 0, end = this.#sizeBytes): AsyncGenerator<FieldSpan, void> {
    let at = start;
    while (at < end) {
      const field = await this.#field(at, end);
      yield field;
      at = field.end;
    }
  }

  /** A copy of a field's bytes; refuses more than `bytesMax` of them. */
  async read(field: FieldSpan, bytesMax: number): Promise<Uint8Array> {
    const length = field.end - field.start;
    if (length > bytesMax) {
      throw new ProtobufFileError(
        `has a field of ${length} bytes at byte ${field.start}, where at most ${bytesMax} are allowed`,
      );
    }
    const bytes = new Uint8Array(length);
    await this.#fill(bytes, field.start);
    return bytes;
  }

  async #field(at: number, end: number): Promise<FieldSpan> {
    const reader = protobuf.Reader.create(await this.#peek(at, end));
    let tag: number;
    let length: number;
    try {
      tag = reader.tag();
      length = valueBytes(reader, tag & 7);
    } catch {
      throw new ProtobufFileError(`is truncated or not a protobuf message (at byte ${at})`);
    }
    const start = (tag & 7) === 0 ? at + reader.pos - length : at + reader.pos;
    if (tag >>> 3 === 0) {
      throw new ProtobufFileError(`is not a protobuf message (field 0 at byte ${at})`);
    }
    if (start + length > end) {
      throw new ProtobufFileError(
        `is truncated or not a protobuf message (a field of ${length} bytes at byte ${start}, ${end - start} are left)`,
      );
    }
    return { number: tag >>> 3, wire: tag & 7, start, end: start + length };
  }

  /** The next bytes from `at`, enough for a header unless `end` comes first. */
  async #peek(at: number, end: number): Promise<Uint8Array> {
    const wantedEnd = Math.min(end, at + headerBytesMax);
    if (at < this.#windowStart || wantedEnd > this.#windowEnd) {
      const size = Math.min(windowBytes, this.#sizeBytes - at);
      await this.#fill(this.#window.subarray(0, size), at);
      this.#windowStart = at;
      this.#windowEnd = at + size;
    }
    return this.#window.subarray(at - this.#windowStart, wantedEnd - this.#windowStart);
  }

  async #fill(target: Uint8Array, at: number): Promise<void> {
    let filled = 0;
    while (filled < target.length) {
      const { bytesRead } = await this.#handle.read(
        target,
        filled,
        target.length - filled,
        at + filled,
      );
      if (bytesRead === 0) throw new ProtobufFileError('became shorter while it was read');
      filled += bytesRead;
    }
  }
}

/** Bytes of the value behind a tag. A varint is passed over, a length is consumed. */
function valueBytes(reader: protobuf.Reader, wire: number): number {
  const before = reader.pos;
  switch (wire) {
    case 0:
      reader.skip();
      return reader.pos - before;
    case 1:
      return 8;
    case 2:
      return reader.size();
    case 5:
      return 4;
    default:
      throw new RangeError(`wire type ${wire}`);
  }
}

/** The signed number in the bytes of a varint; beyond 2^53 the nearest one a double holds. */
export function int64Of(varint: Uint8Array): number {
  let value = 0n;
  for (const [i, byte] of varint.entries()) value |= BigInt(byte & 127) << BigInt(7 * i);
  return Number(BigInt.asIntN(64, value));
}
