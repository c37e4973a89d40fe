/** Tensors between the dimensions that callers see and those of the model, where a model has both. */
import { elementCount, type Tensor, type TensorSpec } from '@inferry/contracts';
import { err, invariant, ok, type Result } from '@inferry/runtime';
import type { Item } from '../port.ts';

/** The item as the model takes it; the same item where nothing differs. */
export function asRun(item: Item, inputs: readonly TensorSpec[]): Item {
  if (inputs.every(({ runShape }) => runShape === undefined)) return item;
  const tensors = item.tensors.map((tensor) => {
    const spec = inputs.find(({ name }) => name === tensor.name);
    if (spec?.runShape === undefined) return tensor;
    const shape = reshaped(tensor.shape, spec.shape, spec.runShape);
    invariant(shape !== undefined, 'inputs were checked against the dimensions of the model');
    return { ...tensor, shape };
  });
  return { ...item, tensors };
}

/** Outputs as callers see them. An error, for a person, where the model answers other dimensions than declared. */
export function asCalled(
  outputs: readonly Tensor[],
  specs: readonly TensorSpec[],
): Result<readonly Tensor[], string> {
  const called: Tensor[] = [];
  for (const output of outputs) {
    const spec = specs.find(({ name }) => name === output.name);
    if (spec?.runShape === undefined) {
      called.push(output);
      continue;
    }
    const shape = reshaped(output.shape, spec.runShape, spec.shape);
    if (shape === undefined) {
      const declared = `[${spec.runShape.join(', ')}]`;
      return err(
        `output "${output.name}" has shape [${output.shape.join(', ')}]; it was declared as ${declared}`,
      );
    }
    called.push({ ...output, shape });
  }
  return ok(called);
}

/** What varies keeps its order: the n-th -1 of one side is the n-th of the other. */
function reshaped(
  shape: readonly number[],
  from: readonly number[],
  to: readonly number[],
): readonly number[] | undefined {
  if (shape.length !== from.length) return undefined;
  if (from.some((dimension, i) => dimension !== -1 && dimension !== shape[i])) return undefined;
  const varying = shape.filter((_, i) => from[i] === -1);
  let next = 0;
  const made = to.map((dimension) => {
    if (dimension !== -1) return dimension;
    next += 1;
    return varying[next - 1] ?? 0;
  });
  return elementCount(made) === elementCount(shape) ? made : undefined;
}
