/** The first number of each row of an item's first input: what makes a simulated model misbehave. */
import { type Datatype, datatypeBytes, elementCount, type Tensor } from '@inferry/contracts';
import { invariant } from '@inferry/runtime';
import type { Item } from '../port.ts';

type ReadableDatatype = Exclude<Datatype, 'BYTES' | 'FP16' | 'BF16'>;

const readers: { readonly [Name in ReadableDatatype]: (view: DataView, at: number) => number } = {
  BOOL: (view, at) => view.getUint8(at),
  UINT8: (view, at) => view.getUint8(at),
  UINT16: (view, at) => view.getUint16(at, true),
  UINT32: (view, at) => view.getUint32(at, true),
  UINT64: (view, at) => Number(view.getBigUint64(at, true)),
  INT8: (view, at) => view.getInt8(at),
  INT16: (view, at) => view.getInt16(at, true),
  INT32: (view, at) => view.getInt32(at, true),
  INT64: (view, at) => Number(view.getBigInt64(at, true)),
  FP32: (view, at) => view.getFloat32(at, true),
  FP64: (view, at) => view.getFloat64(at, true),
};

export function isReadable(datatype: Datatype): datatype is ReadableDatatype {
  return Object.hasOwn(readers, datatype);
}

/** One number a row; none for rows without elements. */
export function leadingValues(item: Item): number[] {
  const [tensor] = item.tensors;
  invariant(tensor !== undefined && isReadable(tensor.datatype), 'the first input holds numbers');
  const elementsPerRow = elementCount(tensor.shape) / item.rows;
  if (elementsPerRow < 1) return [];
  return Array.from({ length: item.rows }, (_, row) => valueAt(tensor, row * elementsPerRow));
}

function valueAt(tensor: Tensor, index: number): number {
  invariant(isReadable(tensor.datatype), 'the first input holds numbers');
  const { bytes, datatype } = tensor;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return readers[tensor.datatype](view, index * datatypeBytes[datatype]);
}
