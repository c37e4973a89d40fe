/**
 * Triton's generate extension: a flat JSON object by the names of inputs, answered by a flat one by the names of
 * outputs. One value is a scalar; several are a list.
 */
import {
  elementCount,
  type Failure,
  type JobOutput,
  type JsonObject,
  type JsonValue,
  type ModelManifest,
  type Tensor,
  type TensorSpec,
} from '@inferry/contracts';
import { err, type Result } from '@inferry/runtime';

import { elementTexts } from './elements.ts';
import { isJsonObject, readJson, writeJson } from './json.ts';
import { bindInferRequest, type InferContext, type InferRequest } from './open-inference.ts';
import { invalidInput, pointerTo } from './refusals.ts';
import { pipelineOutput } from './requested-outputs.ts';

/** What the request may have beside inputs, where no input is called so. */
const ownMembers: ReadonlySet<string> = new Set(['id', 'parameters']);

/**
 * Checks a request against the model. Members that are no inputs are parameters, as those of `parameters` are.
 * Errors: those of `parseInferRequest`.
 */
export function parseGenerate(
  body: Uint8Array,
  manifest: ModelManifest,
  { allocate, hasPriorities }: Pick<InferContext, 'allocate' | 'hasPriorities'>,
): Result<InferRequest, Failure> {
  return readJson(body, allocate, (value, decode) => {
    if (!isJsonObject(value)) {
      const detail = 'The body must be an object by the names of inputs.';
      return err(invalidInput('#', 'object', detail));
    }
    const request = requestOf(value, manifest);
    return request.ok
      ? bindInferRequest(request.value, manifest, { decode, hasPriorities, binary: undefined })
      : request;
  });
}

function requestOf(value: JsonObject, manifest: ModelManifest): Result<JsonObject, Failure> {
  const specs = inputSpecs(manifest);
  const inputs: JsonObject[] = [];
  const own: Record<string, JsonValue> = {};
  const parameters: [string, JsonValue][] = [];
  for (const [name, member] of Object.entries(value)) {
    const spec = specs.find((candidate) => candidate.name === name);
    if (spec !== undefined) inputs.push(inputOf(spec, member));
    else if (ownMembers.has(name)) own[name] = member;
    else if (member !== null && typeof member === 'object') {
      const names = specs.map((candidate) => `"${candidate.name}"`).join(', ');
      const detail = `#/${name} is no input of the model (${names}), and no parameter is a list or an object.`;
      return err(invalidInput(pointerTo('#', name), 'unknown_input', detail));
    } else parameters.push([name, member]);
  }
  const { id, parameters: given } = own;
  if (given !== undefined && given !== null && !isJsonObject(given)) {
    return err(invalidInput('#/parameters', 'object', '#/parameters must be an object.'));
  }
  return {
    ok: true,
    value: {
      ...(id === undefined ? {} : { id }),
      parameters: { ...given, ...Object.fromEntries(parameters) },
      inputs,
    },
  };
}

/** The tensors of the model, or the field of its pipeline, which comes first where both are there. */
function inputSpecs({ inputs, preprocess }: ModelManifest): readonly TensorSpec[] {
  if (preprocess.kind !== 'image' && preprocess.kind !== 'text') return inputs;
  const field = { name: preprocess.input, datatype: 'BYTES', shape: [-1] } as const;
  return [...inputs.filter(({ name }) => name !== field.name), field];
}

/** As deep as it nests, with as many dimensions of one in front as the input has more. */
function inputOf({ datatype, name, shape }: TensorSpec, data: JsonValue): JsonObject {
  const lengths: number[] = [];
  for (let level = data; Array.isArray(level); level = level[0] ?? null) lengths.push(level.length);
  const missing = Math.max(0, shape.length - lengths.length);
  return {
    name,
    datatype,
    shape: [...Array.from({ length: missing }, () => 1), ...lengths],
    data: lengths.length === 0 ? [data] : data,
  };
}

/** The answer, or a part of it, as JSON in one line. */
export function generateResponse(
  manifest: ModelManifest,
  output: JobOutput,
  { id }: Pick<InferRequest, 'id'>,
): string {
  const head: JsonObject = {
    ...(id === undefined ? {} : { id }),
    model_name: manifest.name,
    model_version: manifest.version,
  };
  const members =
    output.form === 'tensors'
      ? output.tensors.map((tensor) => `${JSON.stringify(tensor.name)}:${valueText(tensor)}`)
      : [`${JSON.stringify(pipelineOutput)}:${rowsText(output.rows)}`];
  return `${[JSON.stringify(head).slice(0, -1), ...members].join(',')}}`;
}

function rowsText(rows: readonly JsonValue[]): string {
  const [only, ...others] = rows;
  return writeJson(only !== undefined && others.length === 0 ? only : rows);
}

/** Flat, in row-major order. BYTES are text where they are UTF-8, else `{"b64": "..."}`. */
function valueText({ bytes, datatype, name, shape }: Tensor): string {
  const texts = elementTexts(bytes, datatype, elementCount(shape), name.endsWith('_bytes'));
  const [only, ...others] = texts;
  return only !== undefined && others.length === 0 ? only : `[${texts.join(',')}]`;
}
