/**
 * Replies of Redis (RESP2) read from a socket's chunks: a large value is copied once, from the chunk into
 * the buffer that its reader gets. Knows the replies of the commands that blob-connection.ts sends: status,
 * error, integer, bulk string, and an array of bulk strings.
 *
 * @see https://redis.io/docs/latest/develop/reference/protocol-spec/
 */
import { ReplyError } from 'ioredis';

/** A bulk string that does not exist is null. */
export type BlobReply = string | Error | Uint8Array | null | readonly (Uint8Array | null)[];

/** Lines are short: a status, an error, a length. */
const lineBytesMax = 64 * 1024;
const lineFeed = 10;
const lineEndBytes = 2;

export class BlobReplies {
  readonly #onReply: (reply: BlobReply) => void;
  readonly #take: (bytes: number) => Uint8Array;
  /** The part of a line that has arrived. */
  #line = '';
  /** The bulk string that is arriving, and how much of it and of its line end has. */
  #bulk: Uint8Array | null = null;
  #filled = 0;
  /** Elements still to come of an array, and those that came; null outside of one. */
  #array: { left: number; readonly elements: (Uint8Array | null)[] } | null = null;

  /** `take` gives the memory for a value of so many bytes. */
  constructor(onReply: (reply: BlobReply) => void, take: (bytes: number) => Uint8Array) {
    this.#onReply = onReply;
    this.#take = take;
  }

  /** Reads the next bytes; they may be overwritten afterwards. Throws where they are no replies. */
  push(chunk: Buffer): void {
    let at = 0;
    while (at < chunk.length) {
      at = this.#bulk === null ? this.#readLine(chunk, at) : this.#readBulk(this.#bulk, chunk, at);
    }
  }

  #readLine(chunk: Buffer, from: number): number {
    const end = chunk.indexOf(lineFeed, from);
    const until = end === -1 ? chunk.length : end;
    this.#line += chunk.toString('latin1', from, until);
    if (this.#line.length > lineBytesMax) throw new Error('a line of a reply does not end');
    if (end === -1) return until;
    const line = this.#line.slice(0, -1);
    this.#line = '';
    this.#onLine(line);
    return end + 1;
  }

  #onLine(line: string): void {
    const text = line.slice(1);
    switch (line[0]) {
      case '+':
      case ':':
        return this.#onReply(text);
      case '-':
        return this.#onReply(new ReplyError(text));
      case '$':
        return this.#onBulkLength(Number(text));
      case '*':
        this.#array = { left: Number(text), elements: [] };
        return this.#endArray(this.#array);
      default:
        throw new Error('what arrived is no reply of Redis');
    }
  }

  #onBulkLength(bytes: number): void {
    if (bytes < 0) return this.#onElement(null);
    this.#bulk = this.#take(bytes);
    this.#filled = 0;
  }

  #readBulk(bulk: Uint8Array, chunk: Buffer, from: number): number {
    const ofValue = Math.min(bulk.length - this.#filled, chunk.length - from);
    if (ofValue > 0) {
      chunk.copy(bulk, this.#filled, from, from + ofValue);
      this.#filled += ofValue;
      return from + ofValue;
    }
    const ofEnd = Math.min(bulk.length + lineEndBytes - this.#filled, chunk.length - from);
    this.#filled += ofEnd;
    if (this.#filled === bulk.length + lineEndBytes) {
      this.#bulk = null;
      this.#onElement(bulk);
    }
    return from + ofEnd;
  }

  #onElement(element: Uint8Array | null): void {
    const array = this.#array;
    if (array === null) return this.#onReply(element);
    array.elements.push(element);
    array.left -= 1;
    this.#endArray(array);
  }

  #endArray({
    elements,
    left,
  }: {
    readonly left: number;
    readonly elements: (Uint8Array | null)[];
  }) {
    if (left > 0) return;
    this.#array = null;
    this.#onReply(elements);
  }
}
