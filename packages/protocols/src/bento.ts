/**
 * A call as BentoML's HTTP API has it: the body is an object by the names of inputs, as JSON or as a form with
 * files, or it is the one image; the answer is the value itself. Tensors are whole, with all their rows. A
 * pipeline of images, texts or tables takes one row, or lists of values, and answers one value or a list.
 */
import {
  type Failure,
  failure,
  type JobOutput,
  type JsonObject,
  type JsonValue,
  type ModelManifest,
} from '@inferry/contracts';
import { err, ok, type Result } from '@inferry/runtime';

import { type Allocate, decodeBase64 } from './base64.ts';
import { isJsonObject, parseJson, readJson, writeJson } from './json.ts';
import { bindPipelineRow, type BytesSources, type Parts } from './pipeline-input.ts';
import { invalidInput, pointerTo, refusal } from './refusals.ts';
import type { SubmitBody } from './submit.ts';
import type { BoundInput } from './tensor-request.ts';
import { type Given, isBytesObject } from './tf-serving/given.ts';
import { type PredictRequest, rowAnswers, writeColumns } from './tf-serving/predict.ts';
import { bindRows, isForPipeline } from './tf-serving/rows.ts';
import { bindNested } from './tf-serving/tensors.ts';

export interface CallRequest extends Omit<PredictRequest, 'instances'> {
  /** One row, which is answered by what is made of it and not by a list. */
  readonly isSingle: boolean;
}

/** The name that a raw body has among the parts. */
const rawPart = 'body';
const strictText = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/**
 * Checks a call against the model. Errors: `malformed_json`, `unsupported_media_type` (a raw body for a model
 * that takes no image), `invalid_input` (extras `errors` name the place).
 */
export function parseCall(
  body: SubmitBody,
  manifest: ModelManifest,
  { allocate }: { readonly allocate: Allocate },
): Result<CallRequest, Failure> {
  switch (body.kind) {
    case 'json':
      return readJson(body.bytes, allocate, (value, decode) =>
        bindCall(value, { parts: new Map(), decode }, manifest),
      );
    case 'raw': {
      if (manifest.preprocess.kind !== 'image') {
        const detail = `Model "${manifest.name}" takes no raw body; send application/json.`;
        return err(failure('unsupported_media_type', detail));
      }
      const parts = new Map([[rawPart, body.bytes]]);
      const fields = { [manifest.preprocess.input]: { $part: rawPart } };
      return bindCall(fields, { parts, decode: decodeBase64 }, manifest);
    }
    case 'multipart': {
      const parts = new Map(body.parts);
      if (body.request !== undefined) parts.set('request', body.request);
      const fields = formFields(parts, manifest);
      return fields.ok ? bindCall(fields.value, { parts, decode: decodeBase64 }, manifest) : fields;
    }
  }
}

/** Parts are images where the model takes images; texts where it takes texts; else JSON, or text where they are none. */
function formFields(parts: Parts, { preprocess }: ModelManifest): Result<JsonObject, Failure> {
  const fields: [string, JsonValue][] = [];
  for (const [name, bytes] of parts) {
    if (preprocess.kind === 'image') {
      fields.push([name, { $part: name }]);
      continue;
    }
    const json = preprocess.kind === 'text' ? undefined : parseJson(bytes);
    const value = json?.ok === true ? json : textOf(bytes);
    if (!value.ok) {
      const pointer = pointerTo('#', name);
      return err(invalidInput(pointer, 'text', `${pointer} is not UTF-8 text.`));
    }
    fields.push([name, value.value]);
  }
  return ok(Object.fromEntries(fields));
}

function textOf(bytes: Uint8Array): Result<string, undefined> {
  try {
    return ok(strictText.decode(bytes));
  } catch {
    return err(undefined);
  }
}

function bindCall(
  value: JsonValue,
  sources: BytesSources,
  manifest: ModelManifest,
): Result<CallRequest, Failure> {
  if (!isJsonObject(value) || isBytesObject(value)) {
    const names = manifest.inputs.map(({ name }) => `"${name}"`).join(', ');
    const detail = `The body must be an object by the names of inputs; the tensors of the model are ${names}.`;
    return err(invalidInput('#', 'object', detail));
  }
  const isSingle = isSingleRow(value, manifest);
  const bound = isSingle
    ? bindSingle(value, sources, manifest)
    : bindWhole({ format: 'columnar', base: '#', inputs: value }, sources, manifest);
  return bound.ok
    ? ok({ ...bound.value, timeoutMs: undefined, priority: 'normal', isSingle })
    : bound;
}

/** Where a row has fields that are no lists. */
function isSingleRow(value: JsonObject, { preprocess }: ModelManifest): boolean {
  if (preprocess.kind === 'none' || preprocess.kind === 'tensor') return false;
  return !Object.values(value).every((field) => Array.isArray(field));
}

function bindWhole(
  given: Given,
  { decode }: BytesSources,
  manifest: ModelManifest,
): Result<BoundInput, Failure> {
  const bind = isForPipeline(given, manifest) ? bindRows : bindNested;
  return bind(given, manifest, decode);
}

function bindSingle(
  value: JsonObject,
  sources: BytesSources,
  manifest: ModelManifest,
): Result<BoundInput, Failure> {
  const fields = Object.entries(value).map(([name, field]): [string, JsonValue] => [
    name,
    isBytesObject(field) ? { $b64: field['b64'] ?? null } : field,
  ]);
  const row = bindPipelineRow(Object.fromEntries(fields), sources, manifest);
  if (row.ok) return ok({ input: { form: 'pipeline', rows: [row.value] }, rows: 1 });
  const problems = row.error.map(({ code, detail, field }) => ({
    pointer: field === undefined ? '#' : pointerTo('#', field),
    code,
    detail,
  }));
  return err(refusal('invalid_input', problems));
}

/** The answer, as JSON. */
export function callResponse(
  manifest: ModelManifest,
  output: JobOutput,
  { isSingle }: Pick<CallRequest, 'isSingle'>,
): string {
  if (!isSingle || output.form === 'tensors') return writeColumns(manifest, output);
  return writeJson(rowAnswers(manifest, output.rows)[0] ?? null);
}
