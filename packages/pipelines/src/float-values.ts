/** Float tensors as arrays of numbers, for code that reads each element in bulk. */
import { datatypeBytes, elementCount, halfToNumber, type Tensor } from '@inferry/contracts';

/**
 * The elements; a view where the bytes are FP32 or FP64 and aligned, FP16 widened. Undefined for other
 * datatypes, and where bytes and shape disagree.
 */
export function floatValues(tensor: Tensor): Float32Array | Float64Array | undefined {
  const { datatype, bytes } = tensor;
  if (datatype !== 'FP32' && datatype !== 'FP16' && datatype !== 'FP64') return undefined;
  const count = elementCount(tensor.shape);
  if (bytes.byteLength !== count * datatypeBytes[datatype]) return undefined;
  const isAligned = bytes.byteOffset % datatypeBytes[datatype] === 0;
  const { buffer, byteOffset } = isAligned ? bytes : bytes.slice();
  switch (datatype) {
    case 'FP32':
      return new Float32Array(buffer, byteOffset, count);
    case 'FP64':
      return new Float64Array(buffer, byteOffset, count);
    case 'FP16':
      return Float32Array.from(new Uint16Array(buffer, byteOffset, count), halfToNumber);
  }
}

/**
 * Whether none is NaN or infinite: less themselves these are NaN, and so is a sum with NaN in it. By index,
 * because iterating a typed array takes ten times as long, and a detector has a million numbers.
 */
export function areFinite(values: Float32Array | Float64Array): boolean {
  let sum = 0;
  for (let index = 0; index < values.length; index += 1) {
    const value = values[index] ?? 0;
    sum += value - value;
  }
  return sum === 0;
}
