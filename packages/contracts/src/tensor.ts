/**
 * Tensors as they travel: a name, a datatype of the Open Inference Protocol, a shape, and raw
 * little-endian row-major bytes. Typed views are made where numbers are needed.
 */

/** Bytes per element; BYTES elements have a length prefix each, so their size varies (0 here). */
export const datatypeBytes = {
  BOOL: 1,
  UINT8: 1,
  UINT16: 2,
  UINT32: 4,
  UINT64: 8,
  INT8: 1,
  INT16: 2,
  INT32: 4,
  INT64: 8,
  FP16: 2,
  BF16: 2,
  FP32: 4,
  FP64: 8,
  BYTES: 0,
} as const;

export type Datatype = keyof typeof datatypeBytes;

export interface Tensor {
  readonly name: string;
  readonly datatype: Datatype;
  /** Concrete: every dimension >= 0. */
  readonly shape: readonly number[];
  /** Little-endian, row-major, no padding. BYTES: each element is a uint32 length and that many bytes. */
  readonly bytes: Uint8Array;
}

/** One input or output of a model. */
export interface TensorSpec {
  readonly name: string;
  readonly datatype: Datatype;
  /** -1 is a dimension that varies. Includes the batch dimension, where the model has one. */
  readonly shape: readonly number[];
  /** What the model itself calls it: other dimensions, as many elements. Absent where they are the same. */
  readonly runShape?: readonly number[];
}

/** What one row of a tensor is: its shape without the batch dimension, where the model has one. */
export function fieldShape(spec: TensorSpec, maxBatchSize: number): readonly number[] {
  return maxBatchSize === 0 ? spec.shape : spec.shape.slice(1);
}

export function isDatatype(text: string): text is Datatype {
  return Object.hasOwn(datatypeBytes, text);
}

/** Product of the dimensions; 1 for a scalar. Beyond 2^53 it is rounded, at worst to infinity. */
export function elementCount(shape: readonly number[]): number {
  // Infinity times zero would be no number, which every comparison lets pass.
  if (shape.includes(0)) return 0;
  let count = 1;
  for (const dimension of shape) count *= dimension;
  return count;
}

/**
 * Whether the lengths in a BYTES tensor add up to `count` elements. Unlike splitting, it makes nothing: two
 * million empty elements are 8 MiB, and their views 200.
 */
export function holdsElements(bytes: Uint8Array, count: number): boolean {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let offset = 0;
  for (let i = 0; i < count; i += 1) {
    if (offset + 4 > bytes.length) return false;
    offset += 4 + view.getUint32(offset, true);
  }
  return offset === bytes.length;
}

/** Splits the bytes of a BYTES tensor into its elements, or undefined where the lengths do not add up. */
export function splitBytes(bytes: Uint8Array, count: number): Uint8Array[] | undefined {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const elements: Uint8Array[] = [];
  let offset = 0;
  while (elements.length < count) {
    if (offset + 4 > bytes.length) return undefined;
    const length = view.getUint32(offset, true);
    offset += 4;
    if (offset + length > bytes.length) return undefined;
    elements.push(bytes.subarray(offset, offset + length));
    offset += length;
  }
  return offset === bytes.length ? elements : undefined;
}

/** The bytes of a BYTES tensor with these elements. */
export function joinBytes(elements: readonly Uint8Array[]): Uint8Array {
  let size = 0;
  for (const element of elements) size += 4 + element.length;
  const bytes = new Uint8Array(size);
  const view = new DataView(bytes.buffer);
  let offset = 0;
  for (const element of elements) {
    view.setUint32(offset, element.length, true);
    bytes.set(element, offset + 4);
    offset += 4 + element.length;
  }
  return bytes;
}
