/**
 * Open Inference Protocol v2 over JSON: requests, responses, metadata. The binary tensor extension is
 * not spoken, so it is not listed among the extensions.
 */
import {
  elementCount,
  type Failure,
  failure,
  joinBytes,
  type JobInput,
  type JobOutput,
  type JsonObject,
  type JsonValue,
  type ModelManifest,
  type Priority,
  type Tensor,
  type TensorSpec,
} from '@inferry/contracts';
import { err, ok, type Result } from '@inferry/runtime';
import { z } from 'zod';

import type { Allocate, DecodeBase64 } from './base64.ts';
import { writeElements } from './elements.ts';
import { readJson, writeJson } from './json.ts';
import { priorityOf } from './priority.ts';
import { invalidInput, pointerTo, schemaRefusal } from './refusals.ts';
import {
  bindTensors,
  inputsSchema,
  outputsSchema,
  parametersSchema,
  pipelineOutput,
} from './tensor-request.ts';

export interface InferRequest {
  readonly id: string | undefined;
  readonly parameters: Readonly<Record<string, string | number | bigint | boolean>>;
  /** The parameter `timeout` (microseconds) in milliseconds; undefined when not given or 0. */
  readonly timeoutMs: number | undefined;
  readonly priority: Priority;
  readonly input: JobInput;
  readonly rows: number;
}

export const inferRequestSchema = z
  .strictObject({
    id: z.string().nullish(),
    parameters: parametersSchema.nullish(),
    inputs: inputsSchema,
    outputs: outputsSchema.nullish(),
  })
  .meta({ description: 'Open Inference Protocol v2 request with JSON tensors.' });

/** Parameters of the protocol's extensions that change what an answer is, and that are not spoken here. */
const unsupportedParameters: ReadonlySet<string> = new Set([
  'sequence_id',
  'sequence_start',
  'sequence_end',
  'binary_data_output',
]);

/**
 * Checks a request against the model. Errors: `malformed_json`, `unknown_field`, `invalid_input`
 * (extras `errors` name each place), `invalid_deadline`. Without `hasPriorities` a priority is refused.
 * `allocate` gives memory for long bytes that the body has in base64.
 */
export function parseInferRequest(
  body: Uint8Array,
  manifest: ModelManifest,
  { hasPriorities, allocate }: { readonly hasPriorities: boolean; readonly allocate: Allocate },
): Result<InferRequest, Failure> {
  return readJson(body, allocate, (value, decode) =>
    bindInferRequest(value, decode, manifest, hasPriorities),
  );
}

function bindInferRequest(
  value: JsonValue,
  decode: DecodeBase64,
  manifest: ModelManifest,
  hasPriorities: boolean,
): Result<InferRequest, Failure> {
  const request = inferRequestSchema.safeParse(value);
  if (!request.success) return err(schemaRefusal(request.error, '#'));
  const { inputs, outputs, id } = request.data;
  const parameters = request.data.parameters ?? {};
  const timeoutMs = readParameters(parameters);
  if (!timeoutMs.ok) return timeoutMs;
  const priority = priorityOf(parameters['priority'], hasPriorities);
  if (!priority.ok) return priority;
  const bound = bindTensors({ inputs, outputs }, manifest, { base: '#', decode });
  if (!bound.ok) return bound;
  return ok({
    id: id ?? undefined,
    parameters,
    timeoutMs: timeoutMs.value,
    priority: priority.value,
    ...bound.value,
  });
}

/**
 * The response as JSON text: every output flat in row-major order, integers exact, NaN and the
 * infinities as strings. Rows of a pipeline become one BYTES tensor `output` of shape [n], each
 * element the JSON document of its row.
 */
export function inferResponse(manifest: ModelManifest, output: JobOutput, id?: string): string {
  const head: JsonObject = {
    model_name: manifest.name,
    model_version: manifest.version,
    ...(id === undefined ? {} : { id }),
  };
  const tensors = output.form === 'tensors' ? output.tensors : [rowsTensor(output.rows)];
  return `${JSON.stringify(head).slice(0, -1)},"outputs":${writeTensors(tensors)}}`;
}

/** A JSON array of `{name, datatype, shape, data}`. */
export function writeTensors(tensors: readonly Tensor[]): string {
  const texts = tensors.map(({ name, datatype, shape, bytes }) => {
    const head = JSON.stringify({ name, datatype, shape }).slice(0, -1);
    return `${head},"data":${writeElements(bytes, datatype, elementCount(shape))}}`;
  });
  return `[${texts.join(',')}]`;
}

/**
 * Model metadata. `inputs` and `outputs` are the raw tensors, because clients build a whole request
 * from them; the pipeline form, where there is one, is named in `parameters`, since an extra entry in
 * `inputs` would read as one more required tensor.
 */
export function modelMetadata(manifest: ModelManifest, versions: readonly string[]): JsonObject {
  return {
    name: manifest.name,
    versions: [...versions],
    platform: manifest.backend === 'onnxruntime' ? 'onnxruntime_onnx' : 'simulated',
    inputs: manifest.inputs.map(tensorMetadata),
    outputs: manifest.outputs.map(tensorMetadata),
    ...(manifest.preprocess.kind === 'image' || manifest.preprocess.kind === 'text'
      ? {
          parameters: {
            pipeline_input: manifest.preprocess.input,
            pipeline_input_datatype: 'BYTES',
            pipeline_output: pipelineOutput,
          },
        }
      : {}),
  };
}

export function serverMetadata(version: string): JsonObject {
  return { name: 'inferry', version, extensions: [] };
}

function tensorMetadata(spec: TensorSpec): JsonObject {
  return { name: spec.name, datatype: spec.datatype, shape: [...spec.shape] };
}

function rowsTensor(rows: readonly JsonObject[string][]): Tensor {
  const encoder = new TextEncoder();
  const elements = rows.map((row) => encoder.encode(writeJson(row)));
  return {
    name: pipelineOutput,
    datatype: 'BYTES',
    shape: [rows.length],
    bytes: joinBytes(elements),
  };
}

/** Refuses what would silently be ignored; reads `timeout`. */
function readParameters(
  parameters: InferRequest['parameters'],
): Result<number | undefined, Failure> {
  for (const key of Object.keys(parameters)) {
    const isAsked = unsupportedParameters.has(key) && parameters[key] !== false;
    if (!isAsked && !key.startsWith('triton_')) continue;
    const detail = `Parameter "${key}" is reserved and not supported.`;
    return err(invalidInput(pointerTo('#', 'parameters', key), 'reserved_parameter', detail));
  }
  const timeout = parameters['timeout'];
  if (timeout === undefined) return ok(undefined);
  const microseconds = Number(timeout);
  if (!/^\d{1,15}$/u.test(String(timeout))) {
    const detail = 'Parameter "timeout" must be a whole number of microseconds, 0 or more.';
    return err(failure('invalid_deadline', detail));
  }
  return ok(microseconds === 0 ? undefined : Math.max(1, Math.ceil(microseconds / 1000)));
}
