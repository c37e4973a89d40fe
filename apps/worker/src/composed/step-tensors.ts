/** Tensors between the models of a step: what one calls a row is a tensor without rows to another. */
import type { Tensor, TensorSpec } from '@inferry/contracts';

/**
 * The tensor under the name of `spec`. Between a model that batches and one that does not a leading dimension
 * of 1 is put in front or taken away, where the dimensions fit then and did not before; all else stays as it
 * is, for the model to refuse.
 */
export function fitted(tensor: Tensor, spec: TensorSpec): Tensor {
  const { shape } = tensor;
  const { name } = spec;
  if (fits(shape, spec.shape)) return { ...tensor, name };
  const [first, ...rest] = shape;
  if (fits([1, ...shape], spec.shape)) return { ...tensor, name, shape: [1, ...shape] };
  if (first === 1 && fits(rest, spec.shape)) return { ...tensor, name, shape: rest };
  return { ...tensor, name };
}

function fits(shape: readonly number[], spec: readonly number[]): boolean {
  return (
    shape.length === spec.length &&
    spec.every((dimension, i) => dimension === -1 || dimension === shape[i])
  );
}
