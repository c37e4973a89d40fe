/**
 * The elements of a tensor between JSON and raw bytes, for every datatype. JSON has no word for NaN
 * and the infinities: they travel as the strings "NaN", "Infinity" and "-Infinity", both ways, so that
 * no result is lost and none is changed. 64-bit integers are exact. A BYTES element is a string (its
 * UTF-8 bytes) or `{"b64": "..."}`.
 */
import {
  type Datatype,
  datatypeBytes,
  halfToNumber,
  numberToHalf,
  splitBytes,
} from '@inferry/contracts';
import { err, invariant, ok, type Result } from '@inferry/runtime';

import { type DecodeBase64, decodeBase64 } from './base64.ts';
import { fromBrainFloat, toBrainFloat } from './brain-float.ts';

/** How one fixed-size element is stored and written. `put` returns what is wrong with a value. */
interface ElementCodec {
  put(view: DataView, offset: number, value: unknown): string | undefined;
  text(view: DataView, offset: number): string;
}

const nestingMax = 64;
const encoder = new TextEncoder();
const loneSurrogate = /\p{Surrogate}/u;
const strictDecoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

const codecs: Readonly<Record<Exclude<Datatype, 'BYTES'>, ElementCodec>> = {
  BOOL: {
    put(view, offset, value) {
      if (value !== true && value !== false && value !== 0 && value !== 1) {
        return 'must be true, false, 0 or 1';
      }
      view.setUint8(offset, Number(value));
      return undefined;
    },
    text: (view, offset) => (view.getUint8(offset) === 0 ? 'false' : 'true'),
  },
  UINT8: integer(0, 0xff, 'setUint8', 'getUint8'),
  UINT16: integer(0, 0xffff, 'setUint16', 'getUint16'),
  UINT32: integer(0, 0xffff_ffff, 'setUint32', 'getUint32'),
  INT8: integer(-0x80, 0x7f, 'setInt8', 'getInt8'),
  INT16: integer(-0x8000, 0x7fff, 'setInt16', 'getInt16'),
  INT32: integer(-0x8000_0000, 0x7fff_ffff, 'setInt32', 'getInt32'),
  UINT64: longInteger(0n, 2n ** 64n - 1n, 'setBigUint64', 'getBigUint64'),
  INT64: longInteger(-(2n ** 63n), 2n ** 63n - 1n, 'setBigInt64', 'getBigInt64'),
  FP16: float(
    (value) => halfToNumber(numberToHalf(value)),
    (view, offset, value) => view.setUint16(offset, numberToHalf(value), true),
    (view, offset) => halfToNumber(view.getUint16(offset, true)),
  ),
  BF16: float(
    (value) => fromBrainFloat(toBrainFloat(value)),
    (view, offset, value) => view.setUint16(offset, toBrainFloat(value), true),
    (view, offset) => fromBrainFloat(view.getUint16(offset, true)),
  ),
  FP32: float(
    Math.fround,
    (view, offset, value) => view.setFloat32(offset, value, true),
    (view, offset) => view.getFloat32(offset, true),
  ),
  FP64: float(
    (value) => value,
    (view, offset, value) => view.setFloat64(offset, value, true),
    (view, offset) => view.getFloat64(offset, true),
  ),
};

/**
 * `data` of a JSON tensor, nested or flat, as row-major little-endian bytes. `count` is the product of
 * the shape. The error says what is wrong, without the tensor's name: the caller adds it. `decode` gives the
 * bytes of elements in base64.
 */
export function encodeElements(
  data: unknown,
  datatype: Datatype,
  count: number,
  decode: DecodeBase64 = decodeBase64,
): Result<Uint8Array, string> {
  const leaves = flatten(data, count);
  if (!leaves.ok) return leaves;
  const bytes = encodeLeaves(leaves.value, datatype, decode);
  return bytes.ok ? bytes : err(`element ${bytes.error.index} ${bytes.error.text}`);
}

interface LeafProblem {
  readonly index: number;
  /** To follow the name of the element. */
  readonly text: string;
}

/** What {@link encodeElements} makes of the elements in their order. The error is the first that does not fit. */
export function encodeLeaves(
  leaves: readonly unknown[],
  datatype: Datatype,
  decode: DecodeBase64,
): Result<Uint8Array, LeafProblem> {
  if (datatype === 'BYTES') return joinLeaves(leaves, decode);
  const size = datatypeBytes[datatype];
  const bytes = new Uint8Array(leaves.length * size);
  const view = new DataView(bytes.buffer);
  const codec = codecs[datatype];
  for (const [index, leaf] of leaves.entries()) {
    const text = codec.put(view, index * size, leaf);
    if (text !== undefined) return err({ index, text });
  }
  return ok(bytes);
}

/** The elements as a flat JSON array. `bytes` is what {@link encodeElements} makes. */
export function writeElements(bytes: Uint8Array, datatype: Datatype, count: number): string {
  return `[${elementTexts(bytes, datatype, count).join(',')}]`;
}

/** Each element as JSON. BYTES are text where they are UTF-8, unless `isBase64`. */
export function elementTexts(
  bytes: Uint8Array,
  datatype: Datatype,
  count: number,
  isBase64 = false,
): string[] {
  if (datatype === 'BYTES') {
    const elements = splitBytes(bytes, count);
    invariant(elements !== undefined, 'the lengths in a BYTES tensor add up');
    return elements.map(isBase64 ? writeBase64 : writeString);
  }
  const size = datatypeBytes[datatype];
  invariant(bytes.length === count * size, 'a tensor has the bytes its shape says');
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const codec = codecs[datatype];
  return Array.from({ length: count }, (_, i) => codec.text(view, i * size));
}

/** The leaves of nested arrays in order; a loop with its own stack, that stops at `count` leaves. */
function flatten(data: unknown, count: number): Result<readonly unknown[], string> {
  if (data === undefined && count === 0) return ok([]);
  if (!Array.isArray(data)) return err('data must be an array');
  const leaves: unknown[] = [];
  const stack: { readonly items: readonly unknown[]; next: number }[] = [{ items: data, next: 0 }];
  for (let top = stack.at(-1); top !== undefined; top = stack.at(-1)) {
    if (top.next === top.items.length) {
      stack.pop();
      continue;
    }
    const item = top.items[top.next++];
    if (Array.isArray(item)) {
      if (stack.length === nestingMax) return err(`data nests deeper than ${nestingMax} levels`);
      stack.push({ items: item, next: 0 });
    } else {
      if (leaves.length === count)
        return err(`data has more than the ${count} elements of its shape`);
      leaves.push(item);
    }
  }
  if (leaves.length < count) {
    return err(`data has ${leaves.length} elements, its shape has ${count}`);
  }
  return ok(leaves);
}

/** The elements of a BYTES tensor one by one, where {@link encodeElements} makes one piece of them. */
export function bytesElements(
  data: unknown,
  count: number,
  decode: DecodeBase64,
): Result<readonly Uint8Array[], string> {
  const leaves = flatten(data, count);
  if (!leaves.ok) return leaves;
  const elements = bytesLeaves(leaves.value, decode);
  return elements.ok ? elements : err(`element ${elements.error.index} ${elements.error.text}`);
}

/** What {@link bytesLeaves} joined is. Arrays of their own for a million short texts take half a gigabyte. */
function joinLeaves(
  leaves: readonly unknown[],
  decode: DecodeBase64,
): Result<Uint8Array, LeafProblem> {
  const pieces: (string | Uint8Array)[] = [];
  let size = 0;
  for (const [index, leaf] of leaves.entries()) {
    const isText = typeof leaf === 'string' && !loneSurrogate.test(leaf);
    const piece = isText ? ok(leaf) : bytesOf(leaf, decode);
    if (!piece.ok) return err({ index, text: piece.error });
    pieces.push(piece.value);
    size += 4 + Buffer.byteLength(piece.value);
  }
  const bytes = new Uint8Array(size);
  const buffer = Buffer.from(bytes.buffer);
  let end = 0;
  for (const piece of pieces) {
    const start = end + 4;
    end = start + (typeof piece === 'string' ? buffer.write(piece, start) : piece.length);
    if (typeof piece !== 'string') bytes.set(piece, start);
    buffer.writeUInt32LE(end - start, start - 4);
  }
  return ok(bytes);
}

function bytesLeaves(
  leaves: readonly unknown[],
  decode: DecodeBase64,
): Result<readonly Uint8Array[], LeafProblem> {
  const elements: Uint8Array[] = [];
  for (const [index, leaf] of leaves.entries()) {
    const element = bytesOf(leaf, decode);
    if (!element.ok) return err({ index, text: element.error });
    elements.push(element.value);
  }
  return ok(elements);
}

/** The bytes of one BYTES element. The error follows its name. */
export function bytesOf(leaf: unknown, decode: DecodeBase64): Result<Uint8Array, string> {
  // UTF-8 has no bytes for it, and an encoder would put another character in its place.
  if (typeof leaf === 'string' && loneSurrogate.test(leaf)) {
    return err('holds half of a surrogate pair, which is no character');
  }
  const element = typeof leaf === 'string' ? encoder.encode(leaf) : wrappedBytes(leaf, decode);
  return element === undefined ? err('must be a string or {"b64": "<base64>"}') : ok(element);
}

function wrappedBytes(leaf: unknown, decode: DecodeBase64): Uint8Array | undefined {
  if (leaf === null || typeof leaf !== 'object') return undefined;
  const text = 'b64' in leaf && Object.keys(leaf).length === 1 ? leaf.b64 : undefined;
  return typeof text === 'string' ? decode(text) : undefined;
}

function writeString(element: Uint8Array): string {
  try {
    return JSON.stringify(strictDecoder.decode(element));
  } catch {
    return writeBase64(element);
  }
}

function writeBase64(element: Uint8Array): string {
  return JSON.stringify({ b64: Buffer.from(element).toString('base64') });
}

function integer(
  min: number,
  max: number,
  put: 'setUint8' | 'setUint16' | 'setUint32' | 'setInt8' | 'setInt16' | 'setInt32',
  get: 'getUint8' | 'getUint16' | 'getUint32' | 'getInt8' | 'getInt16' | 'getInt32',
): ElementCodec {
  return {
    put(view, offset, value) {
      if (typeof value !== 'number' || !Number.isInteger(value) || value < min || value > max) {
        return `must be an integer from ${min} to ${max}`;
      }
      view[put](offset, value, true);
      return undefined;
    },
    text: (view, offset) => String(view[get](offset, true)),
  };
}

function longInteger(
  min: bigint,
  max: bigint,
  put: 'setBigUint64' | 'setBigInt64',
  get: 'getBigUint64' | 'getBigInt64',
): ElementCodec {
  return {
    put(view, offset, value) {
      // A larger number that is no bigint was written with a fraction or an exponent: it may not be exact.
      const isExact = typeof value === 'bigint' || Number.isSafeInteger(value);
      const exact = isExact ? BigInt(value as bigint | number) : undefined;
      if (exact === undefined || exact < min || exact > max) {
        return `must be an integer from ${min} to ${max}, written in full`;
      }
      view[put](offset, exact, true);
      return undefined;
    },
    text: (view, offset) => view[get](offset, true).toString(),
  };
}

const wordFloats: ReadonlyMap<unknown, number> = new Map([
  ['NaN', NaN],
  ['Infinity', Infinity],
  ['-Infinity', -Infinity],
]);

function float(
  nearest: (value: number) => number,
  put: (view: DataView, offset: number, value: number) => void,
  get: (view: DataView, offset: number) => number,
): ElementCodec {
  return {
    put(view, offset, value) {
      const word = wordFloats.get(value);
      if (word === undefined) {
        if (typeof value !== 'number' && typeof value !== 'bigint') {
          return 'must be a number (or "NaN", "Infinity", "-Infinity")';
        }
        if (!Number.isFinite(nearest(Number(value)))) return 'is too large for its datatype';
      }
      put(view, offset, word ?? Number(value));
      return undefined;
    },
    text(view, offset) {
      const value = get(view, offset);
      if (!Number.isFinite(value)) return `"${value}"`;
      return Object.is(value, -0) ? '-0' : String(value);
    },
  };
}
