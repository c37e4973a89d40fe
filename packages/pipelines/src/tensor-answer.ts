/** The model's outputs as nested JSON arrays, one document a row. */
import {
  type Failure,
  type JobOutput,
  type JsonValue,
  type Tensor,
  type TensorAnswerSpec,
  writeNested,
} from '@inferry/contracts';
import { ok, type Result } from '@inferry/runtime';
import { modelError } from './model-error.ts';

/**
 * `{ "<output>": nested arrays }` for each row, without the batch dimension where `hasBatch`. `model_error`: an
 * output is missing or has not one entry a row.
 */
export function tensorRows(
  spec: TensorAnswerSpec,
  tensors: readonly Tensor[],
  rows: number,
  hasBatch: boolean,
): Result<JobOutput, Failure> {
  const answers: Record<string, JsonValue>[] = Array.from({ length: rows }, () => ({}));
  for (const name of spec.outputs) {
    const tensor = tensors.find((candidate) => candidate.name === name);
    if (tensor === undefined) return modelError(`gave no output "${name}"`);
    const { datatype, shape, bytes } = tensor;
    if (datatype === 'BF16') return modelError(`gave BF16 in output "${name}"`);
    if (hasBatch && shape[0] !== rows) {
      return modelError(`output "${name}" has not one entry for each of ${rows} rows`);
    }
    const nested = writeNested(bytes, datatype, shape);
    for (const [row, answer] of answers.entries()) {
      answer[name] = hasBatch && Array.isArray(nested) ? (nested[row] as JsonValue) : nested;
    }
  }
  return ok({ form: 'rows', rows: answers });
}
