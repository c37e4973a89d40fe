/** Open Inference Protocol v2: requests and responses with tensors in JSON or behind it, metadata. */
import {
  elementCount,
  type Failure,
  joinBytes,
  type JobInput,
  type JobOutput,
  type JsonObject,
  type ModelManifest,
  type Priority,
  type Tensor,
  type TensorSpec,
} from '@inferry/contracts';
import { err, ok, type Result } from '@inferry/runtime';
import { z } from 'zod';

import type { Allocate, DecodeBase64 } from './base64.ts';
import { BinaryParts, splitBody } from './binary-parts.ts';
import { classify } from './classification.ts';
import { writeElements } from './elements.ts';
import { readJson, writeJson } from './json.ts';
import { priorityOf } from './priority.ts';
import { invalidInput, pointerTo, schemaRefusal } from './refusals.ts';
import { bindRaw } from './raw-request.ts';
import { type OutputForm, parametersSchema, pipelineOutput } from './requested-outputs.ts';
import { bindTensors, inputsSchema, outputsSchema } from './tensor-request.ts';
import { timeoutOf } from './timeout.ts';

export interface InferRequest {
  readonly id: string | undefined;
  readonly parameters: Readonly<Record<string, string | number | bigint | boolean>>;
  /** The parameter `timeout` (microseconds) in milliseconds; undefined when not given or 0. */
  readonly timeoutMs: number | undefined;
  readonly priority: Priority;
  readonly input: JobInput;
  readonly rows: number;
  readonly answer: AnswerForm;
}

/** In what form the caller wants the outputs. */
interface AnswerForm {
  /** Where an output has no form of its own. */
  readonly isBinary: boolean;
  readonly outputs: ReadonlyMap<string, OutputForm>;
}

export const inferRequestSchema = z
  .strictObject({
    id: z.string().nullish(),
    parameters: parametersSchema.nullish(),
    inputs: inputsSchema,
    outputs: outputsSchema.nullish(),
  })
  .meta({ description: 'Open Inference Protocol v2 request; data of tensors may follow it.' });

/** Parameters of extensions that change what an answer is, and that are not spoken here. */
const unsupportedParameters: ReadonlySet<string> = new Set([
  'sequence_id',
  'sequence_start',
  'sequence_end',
]);

export interface InferContext {
  readonly hasPriorities: boolean;
  /** Gives memory for long bytes that the body has in base64. */
  readonly allocate: Allocate;
  /** The header {@link jsonLengthHeader}, where there is one. */
  readonly jsonLength?: string | undefined;
}

/**
 * Checks a request against the model. Errors: `invalid_header`, `malformed_json`, `unknown_field`,
 * `invalid_input` (extras `errors` name each place), `invalid_deadline`. Without `hasPriorities` a
 * priority is refused.
 */
export function parseInferRequest(
  body: Uint8Array,
  manifest: ModelManifest,
  context: InferContext,
): Result<InferRequest, Failure> {
  const split = splitBody(body, context.jsonLength);
  if (!split.ok) return split;
  const { binary, json } = split.value;
  if (binary !== undefined && json.length === 0) return rawRequest(binary, manifest);
  return readJson(json, context.allocate, (value, decode) =>
    bindInferRequest(value, manifest, {
      decode,
      hasPriorities: context.hasPriorities,
      binary: binary === undefined ? undefined : new BinaryParts(binary),
    }),
  );
}

/** The request in the shape that the protocol has in JSON, also where its data came as something else. */
export function bindInferRequest(
  value: unknown,
  manifest: ModelManifest,
  {
    binary,
    decode,
    hasPriorities,
  }: {
    readonly binary: BinaryParts | undefined;
    readonly decode: DecodeBase64;
    readonly hasPriorities: boolean;
  },
): Result<InferRequest, Failure> {
  const request = inferRequestSchema.safeParse(value);
  if (!request.success) return err(schemaRefusal(request.error, '#'));
  const { inputs, outputs, id } = request.data;
  const parameters = request.data.parameters ?? {};
  const timeoutMs = readParameters(parameters);
  if (!timeoutMs.ok) return timeoutMs;
  const priority = priorityOf(parameters['priority'], hasPriorities);
  if (!priority.ok) return priority;
  const bound = bindTensors({ inputs, outputs }, manifest, { base: '#', decode, binary });
  if (!bound.ok) return bound;
  const { forms, input, rows } = bound.value;
  return ok({
    id: id ?? undefined,
    parameters,
    timeoutMs: timeoutMs.value,
    priority: priority.value,
    input,
    rows,
    answer: { isBinary: parameters['binary_data_output'] === true, outputs: forms },
  });
}

/** A body that is the one input of the model and nothing else, answered in the same way. */
function rawRequest(body: Uint8Array, manifest: ModelManifest): Result<InferRequest, Failure> {
  const bound = bindRaw(body, manifest);
  if (!bound.ok) return bound;
  return ok({
    id: undefined,
    parameters: {},
    timeoutMs: undefined,
    priority: 'normal',
    ...bound.value,
    answer: { isBinary: true, outputs: new Map() },
  });
}

export interface InferAnswer {
  readonly json: string;
  /** What follows the JSON, piece by piece; undefined where nothing is binary. */
  readonly binary: readonly Uint8Array[] | undefined;
}

/**
 * The response. Outputs in JSON are flat in row-major order, integers exact, NaN and the infinities as
 * strings. Rows of a pipeline become one BYTES tensor `output` of shape [n], each element the JSON
 * document of its row.
 */
export function inferResponse(
  manifest: ModelManifest,
  output: JobOutput,
  { answer, id }: Pick<InferRequest, 'answer' | 'id'>,
): InferAnswer {
  const head: JsonObject = {
    model_name: manifest.name,
    model_version: manifest.version,
    ...(id === undefined ? {} : { id }),
  };
  const binary: Uint8Array[] = [];
  const texts = answerTensors(manifest, output, answer).map(({ isBinary, tensor }) => {
    if (!isBinary) return writeTensor(tensor);
    binary.push(tensor.bytes);
    const { datatype, name, shape } = tensor;
    const parameters = { binary_data_size: tensor.bytes.length };
    return JSON.stringify({ name, datatype, shape, parameters });
  });
  const json = `${JSON.stringify(head).slice(0, -1)},"outputs":[${texts.join(',')}]}`;
  return { json, binary: binary.length === 0 ? undefined : binary };
}

/** The outputs as they are wanted: classified where that was asked for. */
export function answerTensors(
  manifest: ModelManifest,
  output: JobOutput,
  answer: AnswerForm,
): readonly { readonly tensor: Tensor; readonly isBinary: boolean }[] {
  const given = output.form === 'tensors' ? output.tensors : [rowsTensor(output.rows)];
  return given.map((tensor) => {
    const { classes, isBinary = answer.isBinary } = answer.outputs.get(tensor.name) ?? {};
    return {
      tensor: classes === undefined ? tensor : classify(tensor, classes, manifest),
      isBinary,
    };
  });
}

/** A JSON array of `{name, datatype, shape, data}`. */
export function writeTensors(tensors: readonly Tensor[]): string {
  return `[${tensors.map(writeTensor).join(',')}]`;
}

function writeTensor({ name, datatype, shape, bytes }: Tensor): string {
  const head = JSON.stringify({ name, datatype, shape }).slice(0, -1);
  return `${head},"data":${writeElements(bytes, datatype, elementCount(shape))}}`;
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
    platform: platformOf(manifest),
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

/** Extensions of the protocol that are spoken, by the names that Triton gives them. */
const extensions = [
  'binary_tensor_data',
  'classification',
  'model_configuration',
  'model_repository',
  'parameters',
  'statistics',
] as const;

export function serverMetadata(version: string): JsonObject {
  return { name: 'inferry', version, extensions: [...extensions] };
}

/** In the words of Triton, where it has them. */
export function platformOf({ backend }: Pick<ModelManifest, 'backend'>): string {
  return backend === 'onnxruntime' ? 'onnxruntime_onnx' : backend;
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
  const binary = parameters['binary_data_output'];
  if (binary !== undefined && typeof binary !== 'boolean') {
    const detail = 'Parameter "binary_data_output" must be true or false.';
    return err(
      invalidInput(pointerTo('#', 'parameters', 'binary_data_output'), 'parameter', detail),
    );
  }
  return timeoutOf(parameters['timeout']);
}
