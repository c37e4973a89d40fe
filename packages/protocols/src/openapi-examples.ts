/** Requests that work when sent as they stand, made from the manifests of the served models. */
import {
  elementCount,
  exampleRow,
  type JsonObject,
  type JsonValue,
  type ModelManifest,
  type TensorSpec,
} from '@inferry/contracts';

/** A PNG of 8 by 8 grey pixels: the stroke of a 1, light on dark. */
const smallPng =
  'iVBORw0KGgoAAAANSUhEUgAAAAgAAAAICAAAAADhZOFXAAAAJ0lEQVR42mNgYGBgUAplAAPj/x1gWuk/lHHmLpTBwICbYfx/JgMDAPFCDmoBCQUdAAAAAElFTkSuQmCC';

interface Example {
  readonly summary: string;
  readonly value: JsonObject;
}

/** Bodies of `POST /v1/models/{model}/jobs`, by model; `withModel` adds the member `model`. */
export function submitExamples(
  models: readonly ModelManifest[],
  withModel: boolean,
): Readonly<Record<string, Example>> {
  return byName(models, (manifest) => ({
    ...(withModel ? { model: manifest.name } : {}),
    input: exampleInput(manifest),
  }));
}

/** Bodies of `POST /v2/models/{model}/infer`, by model. */
export function inferExamples(models: readonly ModelManifest[]): Readonly<Record<string, Example>> {
  return byName(models, exampleTensors);
}

/** Bodies of `POST /v1/models/{model}:predict`, by model; none for tensors too large to show. */
export function predictExamples(
  models: readonly ModelManifest[],
): Readonly<Record<string, Example>> {
  return byName(models.filter(isShown), (manifest) => {
    const row = exampleFields(manifest);
    return row === undefined ? { inputs: nestedInputs(manifest) } : { instances: [row] };
  });
}

/** Bodies of `POST /bento/{model}`, by model; none for tensors too large to show. */
export function callExamples(models: readonly ModelManifest[]): Readonly<Record<string, Example>> {
  return byName(models.filter(isShown), (manifest) => {
    const isWhole = manifest.preprocess.kind === 'tensor';
    return (isWhole ? undefined : exampleFields(manifest)) ?? nestedInputs(manifest);
  });
}

function isShown(manifest: ModelManifest): boolean {
  const isShort = ({ shape }: TensorSpec): boolean => Math.abs(elementCount(shape)) <= elementsMax;
  return exampleFields(manifest) !== undefined || manifest.inputs.every(isShort);
}

function nestedInputs({ inputs }: ModelManifest): JsonObject {
  return Object.fromEntries(inputs.map((spec) => [spec.name, nested(spec)]));
}

/** Bodies of `POST /v1/models/{model}:classify`, for those that answer with labels. */
export function classifyExamples(
  models: readonly ModelManifest[],
): Readonly<Record<string, Example>> {
  const shown = models.filter(
    (manifest) => manifest.postprocess.kind === 'classify' && exampleFields(manifest) !== undefined,
  );
  return byName(shown, (manifest) => ({ examples: [exampleFields(manifest) ?? {}] }));
}

/** A row of the pipeline as TensorFlow Serving's clients say it; undefined where there is none. */
function exampleFields(manifest: ModelManifest): JsonObject | undefined {
  if (manifest.preprocess.kind !== 'image') return exampleRow(manifest);
  return { [manifest.preprocess.input]: { b64: smallPng } };
}

function byName(
  models: readonly ModelManifest[],
  value: (manifest: ModelManifest) => JsonObject,
): Readonly<Record<string, Example>> {
  return Object.fromEntries(
    models.map((manifest) => [
      manifest.name,
      { summary: `model ${manifest.name}`, value: value(manifest) },
    ]),
  );
}

/** `input` of a submit: the fields of the model's pipeline, or its raw tensors. */
function exampleInput(manifest: ModelManifest): JsonObject {
  switch (manifest.preprocess.kind) {
    case 'none':
      return exampleTensors(manifest);
    case 'image':
      return { [manifest.preprocess.input]: { $b64: smallPng, media_type: 'image/png' } };
    case 'tabular':
    case 'text':
    case 'tensor':
      return exampleRow(manifest) ?? exampleTensors(manifest);
  }
}

function exampleTensors(manifest: ModelManifest): JsonObject {
  if (manifest.preprocess.kind === 'image') {
    const { input } = manifest.preprocess;
    const image = { name: input, shape: [1], datatype: 'BYTES', data: [{ b64: smallPng }] };
    return { inputs: [image] };
  }
  if (manifest.preprocess.kind === 'text') {
    const [[name, text] = ['', '']] = Object.entries(exampleRow(manifest) ?? {});
    return { inputs: [{ name, shape: [1], datatype: 'BYTES', data: [text] }] };
  }
  const row = manifest.preprocess.kind === 'tabular' ? entriesOf(exampleInput(manifest)) : [];
  return { inputs: manifest.inputs.map((spec) => exampleTensor(spec, row)) };
}

/** The values of a row as entries of the tensor: only where all are numbers, which stand for themselves. */
function entriesOf(row: JsonObject): readonly number[] {
  const values = Object.values(row);
  return values.every((value) => typeof value === 'number') ? values : [];
}

/** Every dimension that varies is 1. */
function nested({ datatype, shape }: TensorSpec): JsonValue {
  const zero = datatype === 'BYTES' ? '' : datatype === 'BOOL' ? false : 0;
  return shape.reduceRight<JsonValue>(
    (inner, size) => Array.from({ length: Math.abs(size) }, () => inner),
    zero,
  );
}

/** Every dimension that varies is 1; elements beyond the given row are 0 (or empty, or false). */
function exampleTensor(spec: TensorSpec, row: readonly number[]): JsonObject {
  const shape = spec.shape.map((dimension) => (dimension === -1 ? 1 : dimension));
  const count = Math.min(
    shape.reduce((product, dimension) => product * dimension, 1),
    elementsMax,
  );
  const zero = spec.datatype === 'BYTES' ? '' : spec.datatype === 'BOOL' ? false : 0;
  const data = Array.from({ length: count }, (_, i) => row[i] ?? zero);
  return { name: spec.name, shape, datatype: spec.datatype, data };
}

/** Longer examples help nobody; such a tensor's example is cut short. */
const elementsMax = 256;
