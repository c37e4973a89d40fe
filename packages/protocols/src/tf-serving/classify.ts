/**
 * TensorFlow Serving's REST `:classify`: `examples`, each an object of features, are answered by lists of label
 * and score. A model whose pipeline ends in labels is a classifier; its fields are the features.
 */
import type { Failure, JobOutput, JsonValue, ModelManifest } from '@inferry/contracts';
import { err, ok, type Result } from '@inferry/runtime';
import { z } from 'zod';

import { isJsonObject, readJson, writeJson } from '../json.ts';
import { invalidInput, schemaRefusal } from '../refusals.ts';
import {
  checkSignature,
  optionsOf,
  parametersMember,
  type PredictContext,
  type PredictRequest,
  rowsOf,
  signatureMember,
} from './predict.ts';
import { bindRows } from './rows.ts';

export const classifyRequestSchema = z
  .strictObject({
    signature_name: signatureMember,
    examples: z.unknown().meta({
      description: 'A list of objects with the fields of the model.',
      type: 'array',
      minItems: 1,
      items: { type: 'object' },
    }),
    parameters: parametersMember,
  })
  .meta({ description: 'TensorFlow Serving classify request.' });

/** Errors: those of a predict request; `invalid_input` where the model does not answer with labels. */
export function parseClassify(
  body: Uint8Array,
  manifest: ModelManifest,
  { allocate, hasPriorities }: PredictContext,
): Result<PredictRequest, Failure> {
  if (manifest.preprocess.kind === 'none' || manifest.postprocess.kind !== 'classify') {
    const detail = `Model "${manifest.name}" does not answer with labels; ask it with :predict.`;
    return err(invalidInput('#', 'method', detail));
  }
  return readJson(body, allocate, (value, decode) => {
    const request = classifyRequestSchema.safeParse(value);
    if (!request.success) return err(schemaRefusal(request.error, '#'));
    const known = checkSignature(request.data.signature_name);
    if (!known.ok) return known;
    const options = optionsOf(request.data.parameters, hasPriorities);
    if (!options.ok) return options;
    const given = rowsOf(request.data.examples, '#/examples');
    if (!given.ok) return given;
    const bound = bindRows(given.value, manifest, decode);
    if (!bound.ok) return bound;
    return ok({ ...bound.value, ...options.value, instances: bound.value.rows });
  });
}

/** For each example its labels with their scores, the best first: as many as the model's `top_k` says. */
export function classifyResponse(output: JobOutput): string {
  const rows = output.form === 'rows' ? output.rows : [];
  return writeJson({ result: rows.map(labelsOf) });
}

function labelsOf(row: JsonValue): JsonValue {
  const top = isJsonObject(row) ? row['top_k'] : undefined;
  if (!Array.isArray(top)) return [];
  return top.map((entry: JsonValue) =>
    isJsonObject(entry) ? [entry['label'] ?? '', entry['score'] ?? 0] : [],
  );
}
