/** Scores become labels. Everything is done in typed arrays, so that thousands of classes cost little. */
import {
  type ClassifySpec,
  type Failure,
  type JobOutput,
  type JsonValue,
  type Tensor,
} from '@inferry/contracts';
import { ok, type Result } from '@inferry/runtime';
import { areFinite, floatValues } from './float-values.ts';
import { modelError } from './model-error.ts';
import { topPlaces } from './top-k.ts';

/**
 * `{ label, score, top_k }` for each row of the scores [rows, classes], FP32, FP64 or FP16: best first, equal
 * scores in the order of the labels. Probabilities are computed in double precision. With a threshold,
 * `top_k` holds what reaches it and may be empty; `label` is the best in any case.
 *
 * `model_error`: the output is missing, is no float, has not one score a label and row, or holds scores
 * that are not finite.
 */
export function classify(
  spec: ClassifySpec,
  tensors: readonly Tensor[],
  rows: number,
): Result<JobOutput, Failure> {
  const tensor = tensors.find((candidate) => candidate.name === spec.output);
  if (tensor === undefined) return modelError(`gave no output "${spec.output}"`);
  const values = floatValues(tensor);
  if (values === undefined) {
    return modelError(`output "${spec.output}" is ${tensor.datatype}, scores must be floats`);
  }
  const classes = spec.labels.length;
  if (values.length !== rows * classes) {
    return modelError(
      `output "${spec.output}" has shape [${tensor.shape.join(', ')}] for ${rows} rows and ${classes} labels`,
    );
  }
  const scores = new Float64Array(classes);
  const answers: JsonValue[] = [];
  for (let row = 0; row < rows; row += 1) {
    scores.set(values.subarray(row * classes, (row + 1) * classes));
    if (!areFinite(scores)) {
      return modelError(`gave a score that is not a finite number in output "${spec.output}"`);
    }
    activate(scores, spec.activation);
    answers.push(ranked(spec, scores));
  }
  return ok({ form: 'rows', rows: answers });
}

/** Logits become probabilities, in place. */
function activate(scores: Float64Array, activation: ClassifySpec['activation']): void {
  switch (activation) {
    case 'none':
      return;
    case 'sigmoid':
      for (let i = 0; i < scores.length; i += 1) scores[i] = 1 / (1 + Math.exp(-(scores[i] ?? 0)));
      return;
    case 'softmax':
      softmax(scores);
  }
}

/** Shifted by the largest logit, so that no exponential overflows. */
function softmax(scores: Float64Array): void {
  let largest = -Infinity;
  for (const logit of scores) if (logit > largest) largest = logit;
  let sum = 0;
  for (let i = 0; i < scores.length; i += 1) {
    const power = Math.exp((scores[i] ?? 0) - largest);
    scores[i] = power;
    sum += power;
  }
  for (let i = 0; i < scores.length; i += 1) scores[i] = (scores[i] ?? 0) / sum;
}

function ranked(spec: ClassifySpec, scores: Float64Array): JsonValue {
  const { labels, threshold } = spec;
  const topK: { readonly label: string; readonly score: number }[] = [];
  const places = topPlaces(scores, Math.max(1, spec.topK));
  for (const place of places) {
    const score = scores[place] ?? 0;
    if (threshold !== null && score < threshold) break;
    topK.push({ label: labels[place] ?? '', score });
  }
  const best = places[0] ?? 0;
  return { label: labels[best] ?? '', score: scores[best] ?? 0, top_k: topK };
}
