/** Tensors as a processor sees them, and back: typed arrays of their own, 64-bit integers exact, BYTES as texts. */
import {
  type Datatype,
  datatypeBytes,
  elementCount,
  isDatatype,
  joinBytes,
  splitBytes,
  type Tensor,
} from '@inferry/contracts';
import { invariant } from '@inferry/runtime';
import type { GivenTensor, NumericArray, ProcessorTensor } from './author.ts';

/** What arrays are taken as when they do not say otherwise. */
const arrayDatatypes = new Map<unknown, Datatype>([
  [Uint8Array, 'UINT8'],
  [Uint8ClampedArray, 'UINT8'],
  [Buffer, 'UINT8'],
  [Uint16Array, 'UINT16'],
  [Uint32Array, 'UINT32'],
  [BigUint64Array, 'UINT64'],
  [Int8Array, 'INT8'],
  [Int16Array, 'INT16'],
  [Int32Array, 'INT32'],
  [BigInt64Array, 'INT64'],
  [Float32Array, 'FP32'],
  [Float64Array, 'FP64'],
]);

/** Of another kind of array than the datatype's own: what has no array of its own is told apart by its datatype. */
const arrayOf = {
  BOOL: Uint8Array,
  UINT8: Uint8Array,
  UINT16: Uint16Array,
  UINT32: Uint32Array,
  UINT64: BigUint64Array,
  INT8: Int8Array,
  INT16: Int16Array,
  INT32: Int32Array,
  INT64: BigInt64Array,
  FP16: Uint16Array,
  BF16: Uint16Array,
  FP32: Float32Array,
  FP64: Float64Array,
} as const;

const strictText = new TextDecoder('utf-8', { fatal: true });
const encoder = new TextEncoder();
const dimensionsMax = 32;

/** A tensor that came from outside; its bytes lie at the start of a buffer of their own. */
export class ReceivedTensor {
  readonly datatype: Datatype;
  readonly shape: readonly number[];
  readonly #tensor: Tensor;
  #data: NumericArray | readonly string[] | undefined;
  #elements: readonly Uint8Array[] | undefined;

  constructor(tensor: Tensor) {
    this.datatype = tensor.datatype;
    this.shape = Object.freeze([...tensor.shape]);
    this.#tensor = tensor;
  }

  get data(): NumericArray | readonly string[] {
    this.#data ??= dataOf(this.#tensor);
    return this.#data;
  }

  get elements(): readonly Uint8Array[] {
    this.#elements ??= this.datatype === 'BYTES' ? elementsOf(this.#tensor) : [];
    return this.#elements;
  }

  /** As it came: nobody has had an array over its bytes, so nobody has written to them. */
  get isUntouched(): boolean {
    return this.#data === undefined && this.#elements === undefined;
  }

  /** The bytes as they are now. */
  get tensor(): Tensor {
    return this.#tensor;
  }
}

/** By name, for `ctx.inputs` and for what a step gives. */
export function received(tensors: readonly Tensor[]): Readonly<Record<string, ProcessorTensor>> {
  const entries = tensors.map(
    (tensor) => [tensor.name, new ReceivedTensor(tensor) as unknown as ProcessorTensor] as const,
  );
  return Object.freeze(Object.fromEntries(entries));
}

function dataOf(tensor: Tensor): NumericArray | readonly string[] {
  const { bytes, datatype, name } = tensor;
  if (datatype !== 'BYTES') {
    invariant(bytes.byteOffset === 0, 'a received tensor has a buffer of its own');
    return new arrayOf[datatype](bytes.buffer as ArrayBuffer, 0, elementCount(tensor.shape));
  }
  return elementsOf(tensor).map((element, i) => {
    try {
      return strictText.decode(element);
    } catch {
      throw new TypeError(`element ${i} of "${name}" is no UTF-8 text: read its elements instead`);
    }
  });
}

function elementsOf({ bytes, name, shape }: Tensor): readonly Uint8Array[] {
  const elements = splitBytes(bytes, elementCount(shape));
  invariant(elements !== undefined, `"${name}" holds its elements`);
  return elements;
}

/**
 * A tensor as it travels. Its bytes are those of the array given, not a copy. Throws a TypeError, for the author,
 * where it is none.
 */
export function givenTensor(name: string, given: unknown): Tensor {
  if (given instanceof ReceivedTensor) return { ...given.tensor, name };
  const { data, datatype, shape } = fieldsOf(name, given);
  if (Array.isArray(data)) return textTensor(name, data, shape, datatype);
  if (!ArrayBuffer.isView(data) || data instanceof DataView) {
    throw new TypeError(`"${name}": data must be a typed array or an array of texts`);
  }
  const own = arrayDatatypes.get(data.constructor);
  const type = datatype ?? own;
  if (type === undefined) {
    throw new TypeError(`"${name}": ${data.constructor.name} needs a datatype`);
  }
  if (type === 'BYTES' || !(data instanceof arrayOf[type])) {
    const wanted = type === 'BYTES' ? 'an array of texts' : arrayOf[type].name;
    throw new TypeError(`"${name}": ${type} needs ${wanted}, not ${data.constructor.name}`);
  }
  const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  const count = data.byteLength / datatypeBytes[type];
  return { name, datatype: type, shape: checkedShape(name, shape, count), bytes };
}

function fieldsOf(
  name: string,
  given: unknown,
): { readonly data: unknown; readonly shape: unknown; readonly datatype: Datatype | undefined } {
  if (typeof given !== 'object' || given === null || !('data' in given)) {
    throw new TypeError(`"${name}" must be a tensor: {data, shape}`);
  }
  const { data, datatype, shape } = given as Partial<GivenTensor>;
  if (datatype !== undefined && (typeof datatype !== 'string' || !isDatatype(datatype))) {
    throw new TypeError(`"${name}": datatype "${String(datatype)}" is not known`);
  }
  return { data, shape, datatype };
}

function textTensor(
  name: string,
  data: readonly unknown[],
  shape: unknown,
  datatype: Datatype | undefined,
): Tensor {
  if (datatype !== undefined && datatype !== 'BYTES') {
    throw new TypeError(`"${name}": ${datatype} needs a typed array, not an array`);
  }
  const elements = data.map((element) => {
    if (typeof element === 'string') return encoder.encode(element);
    if (element instanceof Uint8Array) return element;
    throw new TypeError(`"${name}": an array must hold texts or bytes; numbers need a typed array`);
  });
  const dimensions = checkedShape(name, shape, elements.length);
  return { name, datatype: 'BYTES', shape: dimensions, bytes: joinBytes(elements) };
}

function checkedShape(name: string, shape: unknown, count: number): readonly number[] {
  if (shape === undefined) return [count];
  const isShape =
    Array.isArray(shape) &&
    shape.length <= dimensionsMax &&
    shape.every((size) => Number.isSafeInteger(size) && size >= 0);
  if (!isShape) {
    throw new TypeError(`"${name}": shape must be up to ${dimensionsMax} whole numbers from 0`);
  }
  const dimensions = [...(shape as readonly number[])];
  if (elementCount(dimensions) === count) return dimensions;
  throw new TypeError(
    `"${name}": shape [${dimensions.join(', ')}] does not fit ${count} elements of data`,
  );
}
