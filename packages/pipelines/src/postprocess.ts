/** A model's outputs for one item become the answer of its job. */
import {
  type ClassifySpec,
  elementCount,
  type Failure,
  failure,
  type JobInput,
  type JobOutput,
  type JsonValue,
  type ModelManifest,
  type Tensor,
} from '@inferry/contracts';
import { err, type Err, ok, type Result } from '@inferry/runtime';
import { detect } from './detection/detect.ts';
import { jsonOf, numbersOf } from './elements.ts';
import type { ImagePlacement } from './image/fit.ts';

/**
 * Raw tensors are answered by raw tensors (the wanted ones, in the order asked for). Pipeline rows are
 * answered by one JSON document each: `{ label, score, top_k }` with a classifier, `{ detections }` with a
 * detector, otherwise `{ "<output>": [values of that row, flat] }`. `placements`: one a row for images.
 *
 * `model_error`: an output is missing, has not one entry a row, or holds scores that are no numbers.
 */
export function postprocess(
  manifest: ModelManifest,
  input: JobInput,
  tensors: readonly Tensor[],
  rows: number,
  placements: readonly ImagePlacement[],
): Result<JobOutput, Failure> {
  if (input.form === 'tensors') {
    const wanted = input.outputs ?? manifest.outputs.map((output) => output.name);
    const found: Tensor[] = [];
    for (const name of wanted) {
      const tensor = tensors.find((candidate) => candidate.name === name);
      if (tensor === undefined) return modelError(`gave no output "${name}"`);
      found.push(tensor);
    }
    return ok({ form: 'tensors', tensors: found });
  }
  const spec = manifest.postprocess;
  switch (spec.kind) {
    case 'classify':
      return classify(spec, tensors, rows);
    case 'detect':
      return detect(spec, tensors, rows, placements);
    case 'none':
      return plainRows(tensors, rows);
  }
}

function modelError(detail: string): Err<Failure> {
  return err(failure('model_error', `The model ${detail}`));
}

function classify(
  spec: ClassifySpec,
  tensors: readonly Tensor[],
  rows: number,
): Result<JobOutput, Failure> {
  const tensor = tensors.find((candidate) => candidate.name === spec.output);
  if (tensor === undefined) return modelError(`gave no output "${spec.output}"`);
  if (!isFloat(tensor)) {
    return modelError(`output "${spec.output}" is ${tensor.datatype}, scores must be floats`);
  }
  const classes = spec.labels.length;
  if (elementCount(tensor.shape) !== rows * classes) {
    return modelError(
      `output "${spec.output}" has shape [${tensor.shape.join(', ')}] for ${rows} rows and ${classes} labels`,
    );
  }
  const scores = numbersOf(tensor);
  const answers: JsonValue[] = [];
  for (let row = 0; row < rows; row += 1) {
    const own = scores.slice(row * classes, (row + 1) * classes);
    if (!own.every(Number.isFinite)) {
      return modelError(`gave a score that is not a finite number in output "${spec.output}"`);
    }
    answers.push(ranked(spec, spec.softmax ? softmax(own) : own));
  }
  return ok({ form: 'rows', rows: answers });
}

function isFloat(
  tensor: Tensor,
): tensor is Tensor & { readonly datatype: 'FP16' | 'FP32' | 'FP64' } {
  return tensor.datatype === 'FP32' || tensor.datatype === 'FP64' || tensor.datatype === 'FP16';
}

/** Best first; equal scores in the order of the labels. */
function ranked(spec: ClassifySpec, scores: readonly number[]): JsonValue {
  const topK = spec.labels
    .map((label, index) => ({ label, score: scores[index] ?? 0 }))
    .toSorted((a, b) => b.score - a.score)
    .slice(0, Math.max(1, spec.topK));
  const best = topK[0] ?? { label: '', score: 0 };
  return { label: best.label, score: best.score, top_k: topK };
}

/** Shifted by the largest logit, so that no exponential overflows. */
function softmax(logits: readonly number[]): number[] {
  const largest = logits.reduce((a, b) => Math.max(a, b), -Infinity);
  const powers = logits.map((logit) => Math.exp(logit - largest));
  const sum = powers.reduce((a, b) => a + b, 0);
  return powers.map((power) => power / sum);
}

function plainRows(tensors: readonly Tensor[], rows: number): Result<JobOutput, Failure> {
  const answers: Record<string, JsonValue>[] = Array.from({ length: rows }, () => ({}));
  for (const tensor of tensors) {
    const count = elementCount(tensor.shape);
    if (rows > 1 && tensor.shape[0] !== rows) {
      return modelError(`output "${tensor.name}" has not one entry for each of ${rows} rows`);
    }
    const values = jsonOf(tensor, count);
    const each = count / rows;
    for (const [row, answer] of answers.entries()) {
      answer[tensor.name] = values.slice(row * each, (row + 1) * each);
    }
  }
  return ok({ form: 'rows', rows: answers });
}
