/**
 * Tensors of a request, checked against a model before anything is queued. Two forms (a model with a
 * pipeline takes both): its raw tensors under their ONNX names, or, for an image or text pipeline, the
 * pipeline's field as BYTES [n], one encoded image or text an element, which makes n rows.
 */
import {
  type Datatype,
  datatypeBytes,
  elementCount,
  type Failure,
  isDatatype,
  type JobInput,
  type ModelManifest,
  type PreprocessSpec,
  splitBytes,
  type Tensor,
  type TensorSpec,
  textProblem,
} from '@inferry/contracts';
import { err, invariant, ok, type Result } from '@inferry/runtime';
import { z } from 'zod';

import { boundedList } from './bounded-schemas.ts';
import type { DecodeBase64 } from './base64.ts';
import { type BinaryParts, jsonLengthHeader, takeElements } from './binary-parts.ts';
import { bytesElements, encodeElements } from './elements.ts';
import { NativeData } from './native-data.ts';
import { invalidInput, pointerTo } from './refusals.ts';
import {
  bindOutputs,
  type OutputForm,
  parametersSchema,
  pipelineOutputSpec,
  type RequestedOutput,
  requestedOutputSchema,
  unspokenParameter,
} from './requested-outputs.ts';

/** As many as an ONNX file may have of inputs and outputs, and as many dimensions as a tensor may have. */
export const tensorsMax = 4_096;
export const dimensionsMax = 32;
/** No body holds a longer one, and beside a zero it would still have to be multiplied by others. */
const dimensionMax = 2 ** 31 - 1;
const tensorSchema = z.strictObject({
  name: z.string().min(1),
  shape: boundedList(z.int().min(0).max(dimensionMax), { min: 0, max: dimensionsMax }),
  datatype: z.enum(Object.keys(datatypeBytes)),
  parameters: parametersSchema.nullish(),
  data: z.unknown().optional(),
});

export const inputsSchema = boundedList(tensorSchema, { min: 1, max: tensorsMax });
export const outputsSchema = boundedList(requestedOutputSchema, { min: 0, max: tensorsMax });

type RequestTensor = z.infer<typeof tensorSchema>;

export interface BoundInput {
  readonly input: JobInput;
  /** Rows of a batch this input takes; at least 1. */
  readonly rows: number;
}

export interface BoundTensors extends BoundInput {
  /** By the names of those outputs for which something was said. */
  readonly forms: ReadonlyMap<string, OutputForm>;
}

/** How a request is read. */
export interface Reading {
  /** JSON pointer of the object that holds `inputs` and `outputs`. */
  readonly base: string;
  /** Gives the bytes of elements in base64. */
  readonly decode: DecodeBase64;
  /**
   * What follows the JSON; undefined where the header that says so was not given. Null where the extensions of
   * the protocol, binary data and classification, are not spoken.
   */
  readonly binary: BinaryParts | undefined | null;
}

interface TensorsRequest {
  readonly inputs: readonly RequestTensor[];
  readonly outputs?: readonly RequestedOutput[] | null | undefined;
}

/** Every error is `invalid_input` and names the tensor and the limit. */
export function bindTensors(
  request: TensorsRequest,
  manifest: ModelManifest,
  reading: Reading,
): Result<BoundTensors, Failure> {
  const bound = bindForm(request, manifest, reading);
  const left = reading.binary?.left ?? 0;
  if (!bound.ok || left === 0) return bound;
  const detail = `${left} bytes behind the JSON belong to no input.`;
  return err(invalidInput(pointerTo(reading.base, 'inputs'), 'data', detail));
}

function bindForm(
  request: TensorsRequest,
  manifest: ModelManifest,
  reading: Reading,
): Result<BoundTensors, Failure> {
  const { base } = reading;
  const { inputs } = request;
  const field = pipelineField(inputs, manifest);
  if (field !== undefined) return bindRows(request, field, manifest, reading);
  const tensors: Tensor[] = [];
  for (const [i, given] of inputs.entries()) {
    const pointer = pointerTo(base, 'inputs', i);
    const bound = bindTensor(given, manifest.inputs, manifest, { pointer, reading }, (data) =>
      bytesOf(data, reading),
    );
    if (!bound.ok) return bound;
    const { name, shape } = given;
    if (tensors.some((other) => other.name === name)) {
      const detail = `Input "${name}" is given twice.`;
      return err(invalidInput(pointerTo(pointer, 'name'), 'duplicate', detail));
    }
    tensors.push({ name, shape, ...bound.value });
  }
  for (const spec of manifest.inputs) {
    if (tensors.some((tensor) => tensor.name === spec.name)) continue;
    const detail = `Input "${spec.name}" is missing; it is ${describe(spec)}.`;
    return err(invalidInput(pointerTo(base, 'inputs'), 'missing', detail));
  }
  const outputs = bindOutputs(request.outputs ?? [], manifest.outputs, reading);
  if (!outputs.ok) return outputs;
  const rows = countRows(tensors, manifest, base);
  if (!rows.ok) return rows;
  const { forms, names } = outputs.value;
  const input = { form: 'tensors', tensors, ...(names === undefined ? {} : { outputs: names }) };
  return ok({ input: input as JobInput, rows: rows.value, forms });
}

/** `invalid_input` unless n rows fit into one run of the model. */
export function checkRows(
  rows: number,
  manifest: ModelManifest,
  pointer: string,
): Result<number, Failure> {
  const rowsMax = Math.max(1, manifest.maxBatchSize);
  if (rows >= 1 && rows <= rowsMax) return ok(rows);
  const detail = `The request has ${rows} rows; model "${manifest.name}" takes 1 to ${rowsMax}.`;
  return err(invalidInput(pointer, 'rows', detail));
}

/** The pipeline's field as a tensor, when the request addresses exactly that. */
function pipelineField(
  inputs: readonly RequestTensor[],
  manifest: ModelManifest,
): TensorSpec | undefined {
  if (manifest.preprocess.kind !== 'image' && manifest.preprocess.kind !== 'text') return undefined;
  const name = manifest.preprocess.input;
  const [only, ...others] = inputs;
  const isAddressed = only?.name === name && only.datatype === 'BYTES' && others.length === 0;
  const isRaw = manifest.inputs.some((spec) => spec.name === name && spec.datatype === 'BYTES');
  return isAddressed && !isRaw ? { name, datatype: 'BYTES', shape: [-1] } : undefined;
}

/** The data of a tensor that fits in all else: in the JSON, behind it, or without any. */
type GivenData =
  | {
      readonly kind: 'native';
      readonly data: NativeData;
      readonly datatype: Datatype;
      readonly count: number;
    }
  | {
      readonly kind: 'json';
      readonly data: unknown;
      readonly datatype: Datatype;
      readonly count: number;
    }
  | {
      readonly kind: 'binary';
      readonly size: unknown;
      readonly parts: BinaryParts;
      readonly datatype: Datatype;
      readonly count: number;
    };

function bytesOf(given: GivenData, { decode }: Reading): Result<Uint8Array, string> {
  const { count, datatype } = given;
  switch (given.kind) {
    case 'json':
      return encodeElements(given.data, datatype, count, decode);
    case 'binary':
      return takeElements(given.parts, given.size, datatype, count);
    case 'native':
      return given.data.read(datatype, count);
  }
}

/** One tensor with what `encode` makes of its data, once all else is known to fit. */
function bindTensor<Bytes>(
  given: RequestTensor,
  specs: readonly TensorSpec[],
  manifest: ModelManifest,
  { pointer, reading }: { readonly pointer: string; readonly reading: Reading },
  encode: (data: GivenData) => Result<Bytes, string>,
): Result<{ readonly datatype: Datatype; readonly bytes: Bytes }, Failure> {
  const { name, datatype, shape } = given;
  const spec = specs.find((candidate) => candidate.name === name);
  if (spec === undefined) {
    const names = inputNames(manifest).join(', ');
    const detail = `Model "${manifest.name}" has no input "${name}"; it has: ${names}.`;
    return err(invalidInput(pointerTo(pointer, 'name'), 'unknown_input', detail));
  }
  const reserved = unspokenParameter(given.parameters, ['binary_data_size'], reading);
  if (reserved !== undefined) {
    const detail = `Input "${name}": parameter "${reserved}" is not supported.`;
    return err(invalidInput(pointerTo(pointer, 'parameters', reserved), 'unsupported', detail));
  }
  if (datatype !== spec.datatype || !isDatatype(datatype)) {
    const detail = `Input "${name}" is ${describe(spec)}, not ${datatype}.`;
    return err(invalidInput(pointerTo(pointer, 'datatype'), 'datatype', detail));
  }
  if (!fits(shape, spec.shape)) {
    const detail = `Input "${name}" is ${describe(spec)}; shape [${shape.join(',')}] does not fit.`;
    return err(invalidInput(pointerTo(pointer, 'shape'), 'shape', detail));
  }
  const data = givenData(given, datatype, reading);
  const bytes = data.ok ? encode(data.value) : data;
  if (!bytes.ok) {
    const detail = `Input "${name}" (${datatype} [${shape.join(',')}]): ${bytes.error}.`;
    const where = isBinary(given) ? ['parameters', 'binary_data_size'] : ['data'];
    return err(invalidInput(pointerTo(pointer, ...where), 'data', detail));
  }
  return ok({ datatype, bytes: bytes.value });
}

function givenData(
  given: RequestTensor,
  datatype: Datatype,
  { binary }: Reading,
): Result<GivenData, string> {
  const count = elementCount(given.shape);
  const data = given.data ?? undefined;
  if (data instanceof NativeData) return ok({ kind: 'native', data, datatype, count });
  if (!isBinary(given)) return ok({ kind: 'json', data, datatype, count });
  if (data !== undefined) return err('it has data and binary_data_size, of which one is too many');
  if (binary === undefined || binary === null) {
    return err(`binary_data_size needs the header ${jsonLengthHeader}`);
  }
  const size = given.parameters?.['binary_data_size'];
  return ok({ kind: 'binary', size, parts: binary, datatype, count });
}

function isBinary({ parameters }: RequestTensor): boolean {
  return parameters?.['binary_data_size'] !== undefined;
}

/** Each element becomes a row as it is, without the lengths that a BYTES tensor has between them. */
function bindRows(
  request: TensorsRequest,
  field: TensorSpec,
  manifest: ModelManifest,
  reading: Reading,
): Result<BoundTensors, Failure> {
  const { base, decode } = reading;
  const [given] = request.inputs;
  invariant(given !== undefined, 'a request in pipeline form has one input');
  const pointer = pointerTo(base, 'inputs', 0);
  const [count] = given.shape;
  // Before its elements are looked at: there may be a million of them.
  const rows =
    count === undefined ? ok(1) : checkRows(count, manifest, pointerTo(pointer, 'shape', 0));
  if (!rows.ok) return rows;
  const elements = bindTensor(given, [field], manifest, { pointer, reading }, (data) => {
    if (data.kind === 'json') return bytesElements(data.data, data.count, decode);
    const taken = bytesOf(data, reading);
    return taken.ok ? ok(splitBytes(taken.value, data.count) ?? []) : taken;
  });
  if (!elements.ok) return elements;
  const outputs = bindOutputs(request.outputs ?? [], [pipelineOutputSpec], reading);
  if (!outputs.ok) return outputs;
  const { bytes } = elements.value;
  const values: (string | Uint8Array)[] = [];
  for (const [i, element] of bytes.entries()) {
    const value = rowValue(manifest.preprocess, element);
    if (!value.ok) {
      const detail = `Input "${field.name}": element ${i} ${value.error}.`;
      return err(invalidInput(pointerTo(pointer, 'data'), 'element', detail));
    }
    values.push(value.value);
  }
  const input: JobInput = {
    form: 'pipeline',
    rows: values.map((value) => ({ [field.name]: value })),
  };
  return ok({ input, rows: bytes.length, forms: outputs.value.forms });
}

const strictText = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** An image as it is, a text as text. The error follows the element. */
export function rowValue(
  spec: PreprocessSpec,
  element: Uint8Array,
): Result<string | Uint8Array, string> {
  if (spec.kind !== 'text') return element.length === 0 ? err('is an empty image') : ok(element);
  let text: string;
  try {
    text = strictText.decode(element);
  } catch {
    return err('is not UTF-8 text');
  }
  const problem = textProblem(spec, text);
  return problem === undefined ? ok(text) : err(problem);
}

/** The leading dimension, which all inputs of a model that batches share. */
function countRows(
  tensors: readonly Tensor[],
  manifest: ModelManifest,
  base: string,
): Result<number, Failure> {
  const first = tensors[0];
  if (manifest.maxBatchSize === 0 || first === undefined) return ok(1);
  const rows = first.shape[0] ?? 1;
  for (const [i, tensor] of tensors.entries()) {
    if ((tensor.shape[0] ?? 1) === rows) continue;
    const detail = `Input "${tensor.name}" has ${tensor.shape[0]} rows, "${first.name}" has ${rows}; all inputs must agree.`;
    return err(invalidInput(pointerTo(base, 'inputs', i, 'shape'), 'rows', detail));
  }
  return checkRows(rows, manifest, pointerTo(base, 'inputs', 0, 'shape', 0));
}

function fits(shape: readonly number[], signature: readonly number[]): boolean {
  return (
    shape.length === signature.length &&
    signature.every((dimension, i) => dimension === -1 || dimension === shape[i])
  );
}

function inputNames(manifest: ModelManifest): readonly string[] {
  const raw = manifest.inputs.map((spec) => `${spec.name} (${describe(spec)})`);
  if (manifest.preprocess.kind !== 'image' && manifest.preprocess.kind !== 'text') return raw;
  return [`${manifest.preprocess.input} (BYTES [-1])`, ...raw];
}

function describe(spec: TensorSpec): string {
  return `${spec.datatype} [${spec.shape.join(',')}]`;
}
