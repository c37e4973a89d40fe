/** A model's outputs for one item become the answer of its job. */
import {
  elementCount,
  type Failure,
  type JobInput,
  type JobOutput,
  type JsonValue,
  type ModelManifest,
  type Tensor,
  writeNested,
} from '@inferry/contracts';
import { ok, type Result } from '@inferry/runtime';
import { classify } from './classify.ts';
import { detect } from './detection/detect.ts';
import type { ImagePlacement } from './image/fit.ts';
import { modelError } from './model-error.ts';
import { tensorRows } from './tensor-answer.ts';

/**
 * Raw tensors are answered by raw tensors (the wanted ones, in the order asked for). Pipeline rows are
 * answered by one JSON document each: `{ label, score, top_k }` with a classifier, `{ detections }` with a
 * detector, `{ "<output>": nested arrays }` where the manifest asks for them, otherwise
 * `{ "<output>": [values of that row, flat] }`. `placements`: one a row for images.
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
    case 'tensor':
      return tensorRows(spec, tensors, rows, manifest.maxBatchSize > 0);
    case 'none':
      return plainRows(tensors, rows);
  }
}

function plainRows(tensors: readonly Tensor[], rows: number): Result<JobOutput, Failure> {
  const answers: Record<string, JsonValue>[] = Array.from({ length: rows }, () => ({}));
  for (const { name, datatype, shape, bytes } of tensors) {
    if (datatype === 'BF16') return modelError(`gave BF16 in output "${name}"`);
    if (rows > 1 && shape[0] !== rows) {
      return modelError(`output "${name}" has not one entry for each of ${rows} rows`);
    }
    const flat = writeNested(bytes, datatype, [rows, elementCount(shape) / rows]);
    for (const [row, answer] of answers.entries()) {
      answer[name] = Array.isArray(flat) ? (flat[row] as JsonValue) : flat;
    }
  }
  return ok({ form: 'rows', rows: answers });
}
