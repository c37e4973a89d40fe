/** Inputs for runs whose values do not matter: of a warm-up, of a measurement. */
import {
  type Datatype,
  datatypeBytes,
  elementCount,
  type Tensor,
  type TensorSpec,
} from '@inferry/contracts';

/** Zeros (or empty strings) of the input's signature; a dimension that varies is 1, the leading one `rows`. */
export function zeros(input: TensorSpec, rows: number): Tensor {
  const shape = input.shape.map((dimension, axis) =>
    dimension === -1 ? (axis === 0 ? rows : 1) : dimension,
  );
  const { name, datatype } = input;
  return {
    name,
    datatype,
    shape,
    bytes: new Uint8Array(elementCount(shape) * zeroBytes(datatype)),
  };
}

/** An empty string is its length prefix: four zero bytes. */
function zeroBytes(datatype: Datatype): number {
  return datatype === 'BYTES' ? 4 : datatypeBytes[datatype];
}
