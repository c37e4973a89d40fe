/**
 * One signature out of two sources: what `model.yaml` declares must agree with what the ONNX file
 * says. A declaration may fix a dimension that varies in the file, never the other way round.
 */
import type { TensorSpec } from '@inferry/contracts';
import type { FileProblem } from './file-problem.ts';
import type { ParsedModelYaml } from './model-yaml.ts';
import type { OnnxTensor } from './onnx-value-info.ts';

export type Side = 'inputs' | 'outputs';

/** The declared tensors of one side, in the words of contracts; undefined when none are declared. */
export function declaredTensors(yaml: ParsedModelYaml, side: Side): TensorSpec[] | undefined {
  return yaml.config[side]?.map(({ name, dtype, shape }) => ({ name, datatype: dtype, shape }));
}

/**
 * The tensors of one side in the file's order; what does not agree is added to `problems`. `onnxFile`
 * is only named in them.
 */
export function agreedTensors(
  side: Side,
  found: readonly OnnxTensor[],
  yaml: ParsedModelYaml,
  onnxFile: string,
  problems: FileProblem[],
): TensorSpec[] {
  const declared = declaredTensors(yaml, side);
  for (const [i, tensor] of (declared ?? []).entries()) {
    if (found.some(({ name }) => name === tensor.name)) continue;
    const names = found.slice(0, 10).map(({ name }) => name);
    const message = `the model has no such ${side.slice(0, -1)}; it has: ${names.join(', ')}`;
    problems.push(yaml.problemAt([side, i, 'name'], message));
  }
  return found.flatMap((tensor) => {
    const index = declared?.findIndex(({ name }) => name === tensor.name) ?? -1;
    const match = declared?.[index];
    if (match === undefined) {
      if (declared !== undefined) {
        const message = `lacks "${tensor.name}", which the model has (declare all or none)`;
        problems.push(yaml.problemAt([side], message));
      } else if (tensor.shape === null) {
        problems.push({
          file: onnxFile,
          line: null,
          message: `${side.slice(0, -1)} "${tensor.name}" has no shape in the file; declare it under ${side} in model.yaml`,
        });
      }
      return tensor.shape === null ? [] : [{ ...tensor, shape: tensor.shape }];
    }
    if (match.datatype !== tensor.datatype) {
      const message = `is ${match.datatype} here and ${tensor.datatype} in the model`;
      problems.push(yaml.problemAt([side, index, 'dtype'], message));
    }
    if (tensor.shape !== null && !narrows(match.shape, tensor.shape)) {
      const message = `is ${shapeText(match.shape)} here and ${shapeText(tensor.shape)} in the model`;
      problems.push(yaml.problemAt([side, index, 'shape'], message));
    }
    return [match];
  });
}

export function shapeText(shape: readonly number[]): string {
  return `[${shape.join(', ')}]`;
}

/** Same rank, and every dimension equal unless `wide` leaves it open. */
function narrows(narrow: readonly number[], wide: readonly number[]): boolean {
  return (
    narrow.length === wide.length &&
    wide.every((dimension, i) => dimension === -1 || dimension === narrow[i])
  );
}
