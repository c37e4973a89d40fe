/**
 * Tensors as nested JSON arrays: `[[1, 2], [3, 4]]` is a tensor of shape [2, 2]. Read with a message that
 * says where the nesting deviates from the shape, and written back. 64-bit integers are exact, as JSON
 * integers or as decimal text; what JSON has no number for is `"NaN"`, `"Infinity"`, `"-Infinity"`; a BYTES
 * element is text.
 */
import { err, invariant, ok, type Result } from '@inferry/runtime';
import { halfToNumber, numberToHalf } from './half.ts';
import type { JsonValue } from './json.ts';
import { type Datatype, datatypeBytes, elementCount, joinBytes, splitBytes } from './tensor.ts';

/** Datatypes that can be read and written; ONNX Runtime for Node has no bfloat16. */
export type NestedDatatype = Exclude<Datatype, 'BF16'>;

export interface NestedTensor {
  /** Concrete. */
  readonly shape: readonly number[];
  /** As in a `Tensor`. */
  readonly bytes: Uint8Array;
}

type Scalar = number | bigint | boolean;

/** How one element is stored. `stored` returns what is wrong with a value as text. */
interface ElementCodec {
  readonly stored: (value: unknown) => Scalar | string;
  readonly put: (view: DataView, offset: number, value: Scalar) => void;
  readonly get: (view: DataView, offset: number) => Scalar;
}

const elementsMax = 2 ** 28;

/**
 * `value` nested as `shape` says, where -1 leaves the length open: the first of its kind sets it, and the
 * others must agree. The error follows the field's name: `is FP32 [2, 3]: [1] has 4 entries, not 3`.
 */
export function readNested(
  value: unknown,
  datatype: NestedDatatype,
  shape: readonly number[],
): Result<NestedTensor, string> {
  const told = `is ${datatype} [${shape.join(', ')}]: `;
  const nested = nestedLeaves(value, shape);
  if (!nested.ok) return err(`${told}${placeText(nested.error.at)}${nested.error.text}`);
  const { leaves, shape: concrete } = nested.value;
  const read = datatype === 'BYTES' ? textBytes(leaves) : numberBytes(leaves, datatype);
  if (read.ok) return ok({ shape: concrete, bytes: read.value });
  const { index, text } = read.error;
  return err(`${told}${placeText(positionOf(index, concrete))}${text}`);
}

export interface NestedLeaves {
  /** Concrete. */
  readonly shape: readonly number[];
  /** Row-major, as they were given. */
  readonly leaves: readonly unknown[];
}

export interface NestedProblem {
  /** Index by index. */
  readonly at: readonly number[];
  /** To follow the place. */
  readonly text: string;
}

/** The entries of arrays nested as `shape` says, -1 as in {@link readNested}; none is looked at. */
export function nestedLeaves(
  value: unknown,
  shape: readonly number[],
): Result<NestedLeaves, NestedProblem> {
  const concrete = concreteShape(value, shape);
  const at: number[] = [];
  const leaves: unknown[] = [];
  const text = collect(value, concrete, 0, at, leaves);
  return text === undefined ? ok({ shape: concrete, leaves }) : err({ at, text });
}

/** The tensor as nested arrays; a number by itself for a scalar. Its bytes must be complete. */
export function writeNested(
  bytes: Uint8Array,
  datatype: NestedDatatype,
  shape: readonly number[],
): JsonValue {
  const count = elementCount(shape);
  let values: JsonValue[] =
    datatype === 'BYTES' ? texts(bytes, count) : numbers(bytes, datatype, count);
  for (let axis = shape.length - 1; axis >= 1; axis -= 1) {
    const size = shape[axis] ?? 0;
    const outer = elementCount(shape.slice(0, axis));
    const inner = values;
    values = Array.from({ length: outer }, (_, i) => inner.slice(i * size, (i + 1) * size));
  }
  return shape.length === 0 ? (values[0] ?? null) : values;
}

/** Open dimensions are those of the first entry, all the way down. */
function concreteShape(value: unknown, shape: readonly number[]): number[] {
  let inner = value;
  return shape.map((size) => {
    const length = Array.isArray(inner) ? inner.length : 0;
    inner = Array.isArray(inner) ? inner[0] : undefined;
    return size === -1 ? length : size;
  });
}

/** Leaves in order; `at` is left at the place of the first problem. */
function collect(
  value: unknown,
  shape: readonly number[],
  axis: number,
  at: number[],
  leaves: unknown[],
): string | undefined {
  const size = shape[axis];
  if (size === undefined) {
    if (Array.isArray(value)) return 'is an array, not an element';
    if (leaves.length === elementsMax) return `is beyond ${elementsMax} elements`;
    leaves.push(value);
    return undefined;
  }
  if (!Array.isArray(value)) return size === 0 ? 'must be an array' : `must be an array of ${size}`;
  if (value.length !== size) return `has ${value.length} entries, not ${size}`;
  for (let i = 0; i < size; i += 1) {
    at.push(i);
    const problem = collect(value[i], shape, axis + 1, at, leaves);
    if (problem !== undefined) return problem;
    at.pop();
  }
  return undefined;
}

function placeText(at: readonly number[]): string {
  return at.length === 0 ? 'it ' : `${at.map((index) => `[${index}]`).join('')} `;
}

/** Where the entry with this row-major index is. */
export function positionOf(index: number, shape: readonly number[]): number[] {
  let rest = index;
  return shape
    .toReversed()
    .map((size) => {
      const place = rest % size;
      rest = Math.floor(rest / size);
      return place;
    })
    .toReversed();
}

interface LeafProblem {
  readonly index: number;
  readonly text: string;
}

function numberBytes(
  leaves: readonly unknown[],
  datatype: Exclude<NestedDatatype, 'BYTES'>,
): Result<Uint8Array, LeafProblem> {
  const width = datatypeBytes[datatype];
  const bytes = new Uint8Array(leaves.length * width);
  const view = new DataView(bytes.buffer);
  const codec = codecs[datatype];
  for (const [index, leaf] of leaves.entries()) {
    const value = codec.stored(leaf);
    if (typeof value === 'string') return err({ index, text: value });
    codec.put(view, index * width, value);
  }
  return ok(bytes);
}

const encoder = new TextEncoder();
const loneSurrogate = /\p{Surrogate}/u;

function textBytes(leaves: readonly unknown[]): Result<Uint8Array, LeafProblem> {
  const elements: Uint8Array[] = [];
  for (const [index, leaf] of leaves.entries()) {
    // ONNX Runtime for Node cuts text at a zero character, and UTF-8 has no bytes for half of a pair.
    if (typeof leaf !== 'string' || leaf.includes('\0') || loneSurrogate.test(leaf)) {
      return err({ index, text: 'must be text without zero characters and half surrogate pairs' });
    }
    elements.push(encoder.encode(leaf));
  }
  return ok(joinBytes(elements));
}

function texts(bytes: Uint8Array, count: number): JsonValue[] {
  const elements = splitBytes(bytes, count);
  invariant(elements !== undefined, 'the lengths in a BYTES tensor add up');
  const decoder = new TextDecoder();
  return elements.map((element) => decoder.decode(element));
}

function numbers(
  bytes: Uint8Array,
  datatype: Exclude<NestedDatatype, 'BYTES'>,
  count: number,
): JsonValue[] {
  const width = datatypeBytes[datatype];
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const codec = codecs[datatype];
  const values: JsonValue[] = [];
  for (let i = 0; i < count; i += 1) values.push(jsonNumber(codec.get(view, i * width)));
  return values;
}

/** Integers beyond 2^53 as decimal text, what JSON has no number for as its name. */
function jsonNumber(value: Scalar): JsonValue {
  if (typeof value === 'bigint') {
    const number = Number(value);
    return Number.isSafeInteger(number) ? number : value.toString();
  }
  if (typeof value === 'number' && !Number.isFinite(value)) return String(value);
  return value;
}

const codecs: { readonly [Name in Exclude<NestedDatatype, 'BYTES'>]: ElementCodec } = {
  BOOL: {
    stored: (value) => (value === true || value === false ? value : 'must be true or false'),
    put: (view, offset, value) => view.setUint8(offset, Number(value)),
    get: (view, offset) => view.getUint8(offset) !== 0,
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
    (view, offset, value) => view.setUint16(offset, numberToHalf(Number(value)), true),
    (view, offset) => halfToNumber(view.getUint16(offset, true)),
  ),
  FP32: float(
    Math.fround,
    (view, offset, value) => view.setFloat32(offset, Number(value), true),
    (view, offset) => view.getFloat32(offset, true),
  ),
  FP64: float(
    (value) => value,
    (view, offset, value) => view.setFloat64(offset, Number(value), true),
    (view, offset) => view.getFloat64(offset, true),
  ),
};

function integer(
  min: number,
  max: number,
  put: 'setUint8' | 'setUint16' | 'setUint32' | 'setInt8' | 'setInt16' | 'setInt32',
  get: 'getUint8' | 'getUint16' | 'getUint32' | 'getInt8' | 'getInt16' | 'getInt32',
): ElementCodec {
  return {
    stored: (value) =>
      typeof value === 'number' && Number.isInteger(value) && value >= min && value <= max
        ? value
        : `must be an integer from ${min} to ${max}`,
    put: (view, offset, value) => view[put](offset, Number(value), true),
    get: (view, offset) => view[get](offset, true),
  };
}

function longInteger(
  min: bigint,
  max: bigint,
  put: 'setBigUint64' | 'setBigInt64',
  get: 'getBigUint64' | 'getBigInt64',
): ElementCodec {
  return {
    stored: (value) => {
      const exact = exactInteger(value);
      return exact !== undefined && exact >= min && exact <= max
        ? exact
        : `must be an integer from ${min} to ${max}, written in full`;
    },
    put: (view, offset, value) => view[put](offset, BigInt(value), true),
    get: (view, offset) => view[get](offset, true),
  };
}

/** A larger number that is no bigint was written with a fraction or an exponent: it may not be exact. */
function exactInteger(value: unknown): bigint | undefined {
  if (typeof value === 'bigint') return value;
  if (typeof value === 'string') return /^-?\d{1,20}$/u.test(value) ? BigInt(value) : undefined;
  return typeof value === 'number' && Number.isSafeInteger(value) ? BigInt(value) : undefined;
}

const wordFloats: ReadonlyMap<unknown, number> = new Map([
  ['NaN', NaN],
  ['Infinity', Infinity],
  ['-Infinity', -Infinity],
]);

function float(
  nearest: (value: number) => number,
  put: ElementCodec['put'],
  get: ElementCodec['get'],
): ElementCodec {
  return {
    stored: (value) => {
      const word = wordFloats.get(value);
      if (word !== undefined) return word;
      // A large integer travels to a worker as its decimal text.
      const number = typeof value === 'number' ? value : Number(exactInteger(value) ?? NaN);
      if (Number.isNaN(number)) return 'must be a number (or "NaN", "Infinity", "-Infinity")';
      return Number.isFinite(nearest(number)) ? number : 'is too large for its datatype';
    },
    put,
    get,
  };
}
