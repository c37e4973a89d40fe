/**
 * TensorFlow Serving's REST `:predict`, which KServe V1 speaks too: `instances` (row format) answered by
 * `predictions`, or `inputs` (columnar format) by `outputs`. A model with a pipeline takes what its pipeline
 * takes, and its raw tensors. As on every surface, integers are exact, and NaN and the infinities travel as
 * the strings "NaN", "Infinity" and "-Infinity": the bare words that TensorFlow Serving writes are no JSON.
 */
import {
  type Failure,
  type JobInput,
  type JobOutput,
  type JsonValue,
  type ModelManifest,
  type Priority,
} from '@inferry/contracts';
import { err, ok, type Result } from '@inferry/runtime';
import { z } from 'zod';

import type { Allocate, DecodeBase64 } from '../base64.ts';
import { isJsonObject, readJson, writeJson } from '../json.ts';
import { priorityOf } from '../priority.ts';
import { invalidInput, schemaRefusal } from '../refusals.ts';
import { timeoutOf } from '../timeout.ts';
import type { Given } from './given.ts';
import { bindRows, isForPipeline } from './rows.ts';
import { bindNested, writeOutputs, writePredictions } from './tensors.ts';

/** The one signature that models have here, which is what a request means that names none. */
export const defaultSignature = 'serving_default';

export const signatureMember = z
  .string()
  .nullish()
  .describe(`Models have the one that is meant anyway, ${defaultSignature}.`);

/** No member of theirs: clients of the Open Inference Protocol say it so. */
export const parametersMember = z
  .strictObject({
    timeout: z.union([z.string(), z.number()]).optional().describe('Microseconds.'),
    priority: z
      .union([z.string(), z.number()])
      .optional()
      .describe('1 (high), 2 (normal) or 3 (low), where the server has tenants.'),
  })
  .nullish();

export const predictRequestSchema = z
  .strictObject({
    signature_name: signatureMember,
    instances: z
      .unknown()
      .optional()
      .describe(
        'Row format: a list with an entry for each row, an object by input, or the value where the model has a single input.',
      ),
    inputs: z
      .unknown()
      .optional()
      .describe(
        'Columnar format: an object by input, each with all rows, or the value where the model has a single input.',
      ),
    parameters: parametersMember,
  })
  .meta({
    description: 'TensorFlow Serving predict request: either instances or inputs.',
    oneOf: [{ required: ['instances'] }, { required: ['inputs'] }],
  });

export interface PredictRequest {
  readonly timeoutMs: number | undefined;
  readonly priority: Priority;
  readonly input: JobInput;
  readonly rows: number;
  /** Number of instances; undefined in columnar format. */
  readonly instances: number | undefined;
}

export interface PredictContext {
  readonly hasPriorities: boolean;
  /** Gives memory for long bytes that the body has in base64. */
  readonly allocate: Allocate;
}

/**
 * Checks a request against the model. Errors: `malformed_json`, `unknown_field`, `invalid_input` (extras
 * `errors` name the place), `invalid_deadline`.
 */
export function parsePredict(
  body: Uint8Array,
  manifest: ModelManifest,
  { allocate, hasPriorities }: PredictContext,
): Result<PredictRequest, Failure> {
  return readJson(body, allocate, (value, decode) =>
    bindPredict(value, manifest, { decode, hasPriorities }),
  );
}

function bindPredict(
  value: JsonValue,
  manifest: ModelManifest,
  { decode, hasPriorities }: { readonly decode: DecodeBase64; readonly hasPriorities: boolean },
): Result<PredictRequest, Failure> {
  const request = predictRequestSchema.safeParse(value);
  if (!request.success) return err(schemaRefusal(request.error, '#'));
  const known = checkSignature(request.data.signature_name);
  if (!known.ok) return known;
  const options = optionsOf(request.data.parameters, hasPriorities);
  if (!options.ok) return options;
  const given = givenOf(request.data);
  if (!given.ok) return given;
  const bind = isForPipeline(given.value, manifest) ? bindRows : bindNested;
  const bound = bind(given.value, manifest, decode);
  if (!bound.ok) return bound;
  return ok({
    ...bound.value,
    ...options.value,
    instances: given.value.format === 'row' ? given.value.instances.length : undefined,
  });
}

/** No name is the default's, as in the messages that TensorFlow Serving has for it. Error: `invalid_input`. */
export function checkSignature(name: string | null | undefined): Result<void, Failure> {
  if ((name ?? '') === '' || name === defaultSignature) return ok(undefined);
  const detail = `There is no signature "${name}"; models have "${defaultSignature}".`;
  return err(invalidInput('#/signature_name', 'signature', detail));
}

/** Errors: `invalid_deadline`, `invalid_input`; `unknown_field` for a priority that would be ignored. */
export function optionsOf(
  parameters: z.infer<typeof parametersMember>,
  hasPriorities: boolean,
): Result<Pick<PredictRequest, 'timeoutMs' | 'priority'>, Failure> {
  const timeoutMs = timeoutOf(parameters?.timeout);
  if (!timeoutMs.ok) return timeoutMs;
  const priority = priorityOf(parameters?.priority, hasPriorities);
  return priority.ok ? ok({ timeoutMs: timeoutMs.value, priority: priority.value }) : priority;
}

function givenOf({
  inputs,
  instances,
}: {
  readonly instances?: unknown;
  readonly inputs?: unknown;
}): Result<Given, Failure> {
  if ((instances === undefined) === (inputs === undefined)) {
    const detail = 'The body must have either "instances" or "inputs".';
    return err(invalidInput('#', 'format', detail));
  }
  // The schema leaves both as they were parsed, so they are JSON.
  if (inputs !== undefined)
    return ok({ format: 'columnar', base: '#/inputs', inputs: inputs as JsonValue });
  return rowsOf(instances, '#/instances');
}

/** A list of rows. Error: `invalid_input`. */
export function rowsOf(instances: unknown, base: string): Result<Given, Failure> {
  if (!Array.isArray(instances) || instances.length === 0) {
    const detail = `${base} must be a list with at least one entry.`;
    return err(invalidInput(base, 'list', detail));
  }
  return ok({ format: 'row', base, instances: instances as JsonValue[] });
}

/**
 * The answer, as JSON: what the model gives where it gives one thing, an object where it gives several. A
 * pipeline answers with what it makes of each row. Outputs named `*_bytes` are `{"b64": "..."}`, other BYTES
 * are text where they are UTF-8. Error: `invalid_input`, where rows were asked for and the outputs have none.
 */
export function predictResponse(
  manifest: ModelManifest,
  output: JobOutput,
  { instances }: Pick<PredictRequest, 'instances'>,
): Result<string, Failure> {
  if (instances === undefined) return ok(`{"outputs":${writeColumns(manifest, output)}}`);
  const predictions =
    output.form === 'rows'
      ? ok(writeJson(rowAnswers(manifest, output.rows)))
      : writePredictions(output.tensors, instances);
  return predictions.ok ? ok(`{"predictions":${predictions.value}}`) : predictions;
}

/** The value of `outputs`. */
export function writeColumns(manifest: ModelManifest, output: JobOutput): string {
  return output.form === 'tensors'
    ? writeOutputs(output.tensors)
    : writeJson(columnAnswers(manifest, output.rows));
}

/** What a pipeline makes of each row. */
export function rowAnswers(
  manifest: ModelManifest,
  rows: readonly JsonValue[],
): readonly JsonValue[] {
  const [only, ...others] = outputNames(manifest) ?? [];
  if (only === undefined || others.length > 0) return rows;
  return rows.map((row) => memberOf(row, only));
}

function columnAnswers(manifest: ModelManifest, rows: readonly JsonValue[]): JsonValue {
  const names = outputNames(manifest);
  if (names === undefined) return rows;
  const isWhole = manifest.preprocess.kind === 'tensor' && manifest.maxBatchSize === 0;
  const columns = names.map((name) => {
    const values = rows.map((row) => memberOf(row, name));
    return isWhole ? (values[0] ?? null) : values;
  });
  const [only] = columns;
  if (only !== undefined && columns.length === 1) return only;
  return Object.fromEntries(names.map((name, i) => [name, columns[i] ?? null]));
}

/** Outputs by which a pipeline answers a row; undefined where it makes something else of them. */
function outputNames({ outputs, postprocess }: ModelManifest): readonly string[] | undefined {
  switch (postprocess.kind) {
    case 'classify':
    case 'detect':
      return undefined;
    case 'tensor':
      return postprocess.outputs;
    case 'none':
      return outputs.map(({ name }) => name);
  }
}

function memberOf(row: JsonValue, name: string): JsonValue {
  return isJsonObject(row) && Object.hasOwn(row, name) ? (row[name] ?? null) : null;
}
