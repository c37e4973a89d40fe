/**
 * The body of a submit: read first (what it says), then bound to a model and the limits (what it
 * means). In this order, because `POST /v1/jobs` names its model inside the body.
 */
import {
  attemptsMaxOf,
  type Failure,
  failure,
  type JobInput,
  type JsonValue,
  type Limits,
  type ModelManifest,
  priorities,
  type Priority,
} from '@inferry/contracts';
import { err, ok, type Result } from '@inferry/runtime';
import { z } from 'zod';

import { boundedRecord } from './bounded-schemas.ts';
import { type Allocate, decodeBase64 } from './base64.ts';
import { isJsonObject, readJson } from './json.ts';
import { bindPipelineInput, type BytesSources, type Parts } from './pipeline-input.ts';
import { untoldPriority } from './priority.ts';
import { invalidInput, pointerTo, schemaRefusal } from './refusals.ts';
import {
  bindTensors,
  type BoundInput,
  checkRows,
  inputsSchema,
  outputsSchema,
} from './tensor-request.ts';

/** The body as it came. A raw body is one value of the model's binary field. */
export type SubmitBody =
  | { readonly kind: 'json'; readonly bytes: Uint8Array }
  | { readonly kind: 'raw'; readonly bytes: Uint8Array }
  | {
      readonly kind: 'multipart';
      /** The part `request`; undefined when there is none, and the parts are the input's fields. */
      readonly request: Uint8Array | undefined;
      readonly parts: Parts;
    };

/** Members of `input`; more than a model may have columns. */
const fieldsMax = 16_384;
/** Far above the limit, whose own refusal says more. */
const metadataReadMax = 1_000;

const durationMs = z.int().min(1).optional();

/** Members that say how the job is run; durations in ms. Ranges are those of the limits. */
const options = {
  priority: z
    .enum(priorities)
    .optional()
    .describe('Default normal. Only where the server has tenants (INFERRY_TENANTS).'),
  deadline_ms: durationMs.describe('Time budget from acceptance to the end of the job.'),
  queue_timeout_ms: durationMs.describe('The job must have started within this time.'),
  execution_timeout_ms: durationMs.describe('Limit for one run.'),
  max_attempts: z.int().min(1).optional().describe('How often the job may start at most.'),
  retention_ms: durationMs.describe('How long the result is kept once the job has ended.'),
  metadata: boundedRecord(z.string(), { max: metadataReadMax })
    .optional()
    .describe('Returned with the job.'),
};

const input = boundedRecord(z.unknown(), { max: fieldsMax }).describe(
  'The fields of the model, or {"inputs": [...]} with Open Inference Protocol tensors.',
);

/** Body of `POST /v1/models/{model}/jobs`. */
export const submitSchema = z.strictObject({ input, ...options });
/** Body of `POST /v1/jobs`. */
export const submitWithModelSchema = z.strictObject({
  model: z.string().min(1).describe('`name`, `name@version` or `name@label`'),
  input,
  ...options,
});

const tensorInputSchema = z.strictObject({
  inputs: inputsSchema,
  outputs: outputsSchema.nullish(),
});

type Options = Omit<z.infer<typeof submitSchema>, 'input'>;

interface SubmitDocument {
  /** Only where the body names the model. */
  readonly model: string | undefined;
  readonly options: Options;
  readonly given:
    | {
        readonly kind: 'object';
        readonly input: Readonly<Record<string, JsonValue>>;
        readonly sources: BytesSources;
      }
    | { readonly kind: 'raw'; readonly bytes: Uint8Array };
}

/** What a submit is bound to. */
export interface SubmitContext {
  readonly modelIn: 'path' | 'body';
  /** The model, where the path names it or the body does (`named`). Called once at most. */
  readonly modelOf: (named: string | undefined) => Result<ModelManifest, Failure>;
  readonly limits: Limits;
  /** Memory for long bytes that the body has in base64. */
  readonly allocate: Allocate;
  /** The header `Cancel-After`, another way to say `deadline_ms`. */
  readonly cancelAfterMs: number | undefined;
  /** Where one line serves all, a priority would be ignored; so it is refused. */
  readonly hasPriorities: boolean;
}

export interface Submission extends BoundInput {
  readonly manifest: ModelManifest;
  readonly input: JobInput;
  readonly priority: Priority;
  readonly deadlineMs: number;
  readonly queueTimeoutMs: number;
  readonly executionTimeoutMs: number;
  readonly attemptsMax: number;
  /** Undefined when the caller did not say. */
  readonly retentionMs: number | undefined;
  readonly metadata: Readonly<Record<string, string>>;
}

/**
 * What a body asks for. The bytes of an image are views into a raw or multipart body. Errors: `malformed_json`,
 * `malformed_multipart`, `unsupported_media_type`, `unknown_field`, `invalid_input`, `invalid_deadline`,
 * `metadata_too_large`, and those of `modelOf`.
 */
export function parseSubmit(body: SubmitBody, context: SubmitContext): Result<Submission, Failure> {
  const { modelIn } = context;
  if (body.kind === 'raw') {
    if (modelIn === 'path') {
      const given = { kind: 'raw', bytes: body.bytes } as const;
      return bindSubmit({ model: undefined, options: {}, given }, context);
    }
    const detail = 'A raw body names no model; post it to /v1/models/{model}/jobs.';
    return err(failure('unsupported_media_type', detail));
  }
  const parts: Parts = body.kind === 'multipart' ? body.parts : new Map();
  const bytes = body.kind === 'multipart' ? body.request : body.bytes;
  if (bytes === undefined) {
    if (modelIn === 'body') {
      return err(failure('malformed_multipart', 'The body has no part "request".'));
    }
    const fields = Object.fromEntries([...parts.keys()].map((name) => [name, { $part: name }]));
    const sources = { parts, decode: decodeBase64 };
    const given = { kind: 'object', input: fields, sources } as const;
    return bindSubmit({ model: undefined, options: {}, given }, context);
  }
  return readJson(bytes, context.allocate, (value, decode) => {
    const document = readDocument(value, { parts, decode }, modelIn);
    return document.ok ? bindSubmit(document.value, context) : document;
  });
}

function readDocument(
  value: JsonValue,
  sources: BytesSources,
  modelIn: 'path' | 'body',
): Result<SubmitDocument, Failure> {
  const schema = modelIn === 'body' ? submitWithModelSchema : submitSchema;
  const parsed = schema.safeParse(value);
  if (!parsed.success) return err(schemaRefusal(parsed.error, '#'));
  const { input: fields, ...rest } = parsed.data;
  const { model, ...options } = { model: undefined, ...rest };
  // The schema leaves the input's values as they were parsed, so they are JSON.
  const object = fields as Readonly<Record<string, JsonValue>>;
  return ok({ model, options, given: { kind: 'object', input: object, sources } });
}

/** What the document means for its model. */
function bindSubmit(
  { model, options: given, given: input }: SubmitDocument,
  context: SubmitContext,
): Result<Submission, Failure> {
  const resolved = context.modelOf(model);
  if (!resolved.ok) return resolved;
  const manifest = resolved.value;
  const { limits, cancelAfterMs } = context;
  if (given.priority !== undefined && !context.hasPriorities) {
    return err(untoldPriority('#/priority'));
  }
  const times = bindTimes(given, { manifest, limits, cancelAfterMs });
  if (!times.ok) return times;
  const metadata = checkMetadata(given.metadata ?? {}, limits);
  if (!metadata.ok) return metadata;
  const attempts = withinMax('max_attempts', given.max_attempts, attemptsMaxOf(manifest, limits));
  if (!attempts.ok) return attempts;
  const retention = withinMax('retention_ms', given.retention_ms, limits.retentionMsMax);
  if (!retention.ok) return retention;
  const bound = bindInput(input, manifest);
  if (!bound.ok) return bound;
  return ok({
    ...bound.value,
    ...times.value,
    manifest,
    priority: given.priority ?? 'normal',
    attemptsMax: attempts.value ?? attemptsMaxOf(manifest, limits),
    retentionMs: retention.value,
    metadata: metadata.value,
  });
}

function bindInput(
  given: SubmitDocument['given'],
  manifest: ModelManifest,
): Result<BoundInput, Failure> {
  if (given.kind === 'raw') {
    if (manifest.preprocess.kind !== 'image') {
      const detail = `Model "${manifest.name}" takes no raw body; send application/json.`;
      return err(failure('unsupported_media_type', detail));
    }
    const field = manifest.preprocess.input;
    if (given.bytes.length === 0) return err(invalidInput('#', 'empty', 'The body is empty.'));
    return ok({ input: { form: 'pipeline', rows: [{ [field]: given.bytes }] }, rows: 1 });
  }
  const { input, sources } = given;
  const unused = unusedPart(input, sources.parts);
  if (unused !== undefined) {
    const detail = `The part "${unused}" is not used: refer to it as {"$part": "${unused}"}.`;
    return err(invalidInput('#/input', 'unused_part', detail));
  }
  if (Array.isArray(input['inputs'])) {
    const parsed = tensorInputSchema.safeParse(input);
    if (!parsed.success) return err(schemaRefusal(parsed.error, '#/input'));
    return bindTensors(parsed.data, manifest, {
      base: '#/input',
      decode: sources.decode,
      binary: null,
    });
  }
  const row = bindPipelineInput(input, sources, manifest);
  if (!row.ok) return row;
  const rows = checkRows(1, manifest, '#/input');
  if (!rows.ok) return rows;
  return ok({ input: { form: 'pipeline', rows: [row.value] }, rows: 1 });
}

function unusedPart(input: Readonly<Record<string, JsonValue>>, parts: Parts): string | undefined {
  if (parts.size === 0) return undefined;
  const used = new Set<unknown>();
  for (const value of Object.values(input)) {
    if (isJsonObject(value) && Object.hasOwn(value, '$part')) used.add(value['$part']);
  }
  return [...parts.keys()].find((name) => !used.has(name));
}

function bindTimes(
  given: Options,
  context: {
    readonly manifest: ModelManifest;
    readonly limits: Limits;
    readonly cancelAfterMs: number | undefined;
  },
): Result<Pick<Submission, 'deadlineMs' | 'queueTimeoutMs' | 'executionTimeoutMs'>, Failure> {
  const { manifest, limits, cancelAfterMs } = context;
  const asked = given.deadline_ms ?? cancelAfterMs;
  if (cancelAfterMs !== undefined && asked !== cancelAfterMs) {
    const detail = `deadline_ms (${asked}) and Cancel-After (${cancelAfterMs} ms) differ.`;
    return err(failure('invalid_deadline', detail));
  }
  const deadlineMs = asked ?? manifest.timeoutMs;
  const queueTimeoutMs = given.queue_timeout_ms ?? deadlineMs;
  const executionTimeoutMs = given.execution_timeout_ms ?? manifest.executionTimeoutMs;
  for (const [name, value, max] of [
    ['deadline_ms', deadlineMs, limits.deadlineMsMax],
    ['queue_timeout_ms', queueTimeoutMs, deadlineMs],
    ['execution_timeout_ms', executionTimeoutMs, limits.deadlineMsMax],
  ] as const) {
    if (value >= 1 && value <= max) continue;
    const detail = `${name} is ${value}; it must be from 1 to ${max}.`;
    const errors = [{ pointer: pointerTo('#', name), code: 'range', detail }];
    return err(failure('invalid_deadline', detail, { extras: { errors } }));
  }
  return ok({ deadlineMs, queueTimeoutMs, executionTimeoutMs });
}

function withinMax(
  name: string,
  value: number | undefined,
  max: number,
): Result<number | undefined, Failure> {
  if (value === undefined || value <= max) return ok(value);
  const detail = `${name} is ${value}; it must be at most ${max}.`;
  return err(invalidInput(pointerTo('#', name), 'maximum', detail));
}

function checkMetadata(
  metadata: Readonly<Record<string, string>>,
  limits: Limits,
): Result<Readonly<Record<string, string>>, Failure> {
  const { metadataPairsMax, metadataKeyCharsMax, metadataValueCharsMax } = limits;
  const pairs = Object.entries(metadata);
  if (pairs.length > metadataPairsMax) {
    const detail = `metadata has ${pairs.length} members; at most ${metadataPairsMax} are kept.`;
    return err(failure('metadata_too_large', detail));
  }
  for (const [key, value] of pairs) {
    if (key.length <= metadataKeyCharsMax && value.length <= metadataValueCharsMax) continue;
    const detail = `metadata "${key.slice(0, metadataKeyCharsMax)}": a key has at most ${metadataKeyCharsMax} characters, a value ${metadataValueCharsMax}.`;
    return err(failure('metadata_too_large', detail));
  }
  return ok(metadata);
}
