/** Numbers into tensor bytes and back, for the datatypes pipelines read and write. */
import {
  type Datatype,
  datatypeBytes,
  halfToNumber,
  type JsonValue,
  numberToHalf,
  splitBytes,
  type Tensor,
} from '@inferry/contracts';
import { invariant } from '@inferry/runtime';

/** Datatypes an image or tabular pipeline can fill. */
export type FilledDatatype = 'FP32' | 'FP64' | 'FP16' | 'UINT8';
type FilledArray = Float32Array | Float64Array | Uint16Array | Uint8Array;

export function isFilledDatatype(datatype: Datatype): datatype is FilledDatatype {
  return datatype === 'FP32' || datatype === 'FP64' || datatype === 'FP16' || datatype === 'UINT8';
}

/** An array of `length` elements in the storage form of the datatype (FP16: its bits). */
export function filledArray(datatype: FilledDatatype, length: number): FilledArray {
  switch (datatype) {
    case 'FP32':
      return new Float32Array(length);
    case 'FP64':
      return new Float64Array(length);
    case 'FP16':
      return new Uint16Array(length);
    case 'UINT8':
      return new Uint8Array(length);
  }
}

/** `value` in the storage form of the datatype; UINT8 is rounded and kept in 0..255. */
export function storedForm(datatype: FilledDatatype, value: number): number {
  if (datatype === 'FP16') return numberToHalf(value);
  if (datatype === 'UINT8') return Math.min(255, Math.max(0, Math.round(value)));
  return value;
}

export function bytesOf(array: FilledArray): Uint8Array {
  return new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
}

type Reader = (view: DataView, offset: number) => number | bigint | boolean;

const readers: { readonly [Name in Exclude<Datatype, 'BYTES'>]: Reader } = {
  BOOL: (view, offset) => view.getUint8(offset) !== 0,
  UINT8: (view, offset) => view.getUint8(offset),
  UINT16: (view, offset) => view.getUint16(offset, true),
  UINT32: (view, offset) => view.getUint32(offset, true),
  UINT64: (view, offset) => view.getBigUint64(offset, true),
  INT8: (view, offset) => view.getInt8(offset),
  INT16: (view, offset) => view.getInt16(offset, true),
  INT32: (view, offset) => view.getInt32(offset, true),
  INT64: (view, offset) => view.getBigInt64(offset, true),
  FP16: (view, offset) => halfToNumber(view.getUint16(offset, true)),
  // A bfloat16 is the upper half of a float32.
  BF16: (view, offset) => float32Of(view.getUint16(offset, true)),
  FP32: (view, offset) => view.getFloat32(offset, true),
  FP64: (view, offset) => view.getFloat64(offset, true),
};

const scratch = new DataView(new ArrayBuffer(4));

function float32Of(upperBits: number): number {
  scratch.setUint32(0, upperBits * 0x1_0000);
  return scratch.getFloat32(0);
}

/**
 * Every element as JSON: integers beyond 2^53 as decimal text, what JSON has no number for as
 * `"NaN"`, `"Infinity"`, `"-Infinity"`, BYTES as text.
 */
export function jsonOf(tensor: Tensor, count: number): JsonValue[] {
  if (tensor.datatype === 'BYTES') {
    const elements = splitBytes(tensor.bytes, count);
    invariant(elements !== undefined, `output "${tensor.name}" holds its elements`);
    const text = new TextDecoder();
    return elements.map((element) => text.decode(element));
  }
  return elementsOf(tensor, readers[tensor.datatype]).map(jsonNumber);
}

function elementsOf(tensor: Tensor, read: Reader): (number | bigint | boolean)[] {
  const { bytes } = tensor;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const width = datatypeBytes[tensor.datatype];
  return Array.from({ length: bytes.byteLength / width }, (_, i) => read(view, i * width));
}

function jsonNumber(value: number | bigint | boolean): JsonValue {
  if (typeof value === 'bigint') {
    const asNumber = Number(value);
    return Number.isSafeInteger(asNumber) ? asNumber : value.toString();
  }
  if (typeof value === 'number' && !Number.isFinite(value)) return String(value);
  return value;
}
