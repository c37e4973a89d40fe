/** A predict request as rows for the model's own pipeline. */
import type {
  Failure,
  ImageSpec,
  JsonObject,
  JsonValue,
  ModelManifest,
  PipelineRow,
  TextSpec,
} from '@inferry/contracts';
import { err, ok, type Result } from '@inferry/runtime';

import type { DecodeBase64 } from '../base64.ts';
import { bytesOf } from '../elements.ts';
import { isJsonObject } from '../json.ts';
import { bindPipelineRow } from '../pipeline-input.ts';
import { invalidInput, pointerTo, refusal } from '../refusals.ts';
import { type BoundInput, checkRows, rowValue } from '../tensor-request.ts';
import {
  type Given,
  type GivenInput,
  isBytesObject,
  namedInputs,
  namesOf,
  soleInput,
} from './given.ts';

/**
 * Whether the request is for the pipeline: a model that has one can be asked by its raw tensors too, and is
 * when only these are named. Bytes and texts are always for the pipeline of an image or text model, which may
 * have the name of a tensor, and without a name all else is a tensor. A pipeline that takes nested arrays is
 * always meant: its names are those of the tensors.
 */
export function isForPipeline(given: Given, { inputs, preprocess }: ModelManifest): boolean {
  const names = namesOf(given);
  const raw = new Set(inputs.map(({ name }) => name));
  const isRaw = names === undefined || names.every((name) => raw.has(name));
  switch (preprocess.kind) {
    case 'none':
      return false;
    case 'tensor':
      return true;
    case 'tabular':
      return !isRaw;
    case 'image':
    case 'text':
      return !isRaw || isElement(firstEntry(given, preprocess.input));
  }
}

/** Of this input, or of the one without a name. */
function firstEntry(given: Given, name: string): JsonValue | undefined {
  const isRow = given.format === 'row';
  const first = isRow ? given.instances[0] : given.inputs;
  const isNamed = namesOf(given) !== undefined && first !== undefined && isJsonObject(first);
  const value = isNamed ? (Object.hasOwn(first, name) ? first[name] : undefined) : first;
  return !isRow && Array.isArray(value) ? (value[0] as JsonValue | undefined) : value;
}

function isElement(value: JsonValue | undefined): boolean {
  return typeof value === 'string' || isBytesObject(value);
}

/** Error: `invalid_input`, at the value that does not fit. */
export function bindRows(
  given: Given,
  manifest: ModelManifest,
  decode: DecodeBase64,
): Result<BoundInput, Failure> {
  const { preprocess } = manifest;
  // Before they are looked at: there may be a million.
  const count =
    given.format === 'row' ? checkRows(given.instances.length, manifest, given.base) : ok(0);
  if (!count.ok) return count;
  const rows =
    preprocess.kind === 'image' || preprocess.kind === 'text'
      ? bindElements(given, preprocess, { manifest, decode })
      : bindObjects(given, manifest, decode);
  if (!rows.ok) return rows;
  return ok({ input: { form: 'pipeline', rows: rows.value }, rows: rows.value.length });
}

/** Images or texts: one value a row. */
function bindElements(
  given: Given,
  spec: ImageSpec | TextSpec,
  { decode, manifest }: { readonly manifest: ModelManifest; readonly decode: DecodeBase64 },
): Result<readonly PipelineRow[], Failure> {
  const field = spec.input;
  const inputs =
    namesOf(given) === undefined ? ok([soleInput(given)]) : namedInputs(given, [field]);
  if (!inputs.ok) return inputs;
  const values = listsOf(inputs.value, given, manifest);
  if (!values.ok) return values;
  const rows: PipelineRow[] = [];
  for (const [i, [value = null]] of values.value.entries()) {
    const element = elementOf(spec, value, decode);
    if (!element.ok) {
      const pointer = inputs.value[0]?.pointer([i]) ?? given.base;
      return err(invalidInput(pointer, 'element', `${pointer} ${element.error}.`));
    }
    rows.push({ [field]: element.value });
  }
  return ok(rows);
}

function elementOf(
  spec: ImageSpec | TextSpec,
  value: JsonValue,
  decode: DecodeBase64,
): Result<string | Uint8Array, string> {
  // A text would be taken for the bytes of its letters, which are no image.
  if (spec.kind === 'image' && !isBytesObject(value)) {
    return err('must be {"b64": "<base64 of a PNG, JPEG...>"}');
  }
  const bytes = bytesOf(value, decode);
  return bytes.ok ? rowValue(spec, bytes.value) : bytes;
}

/** Tables and nested arrays: an object a row. */
function bindObjects(
  given: Given,
  manifest: ModelManifest,
  decode: DecodeBase64,
): Result<readonly PipelineRow[], Failure> {
  const objects = objectsOf(given, manifest);
  if (!objects.ok) return objects;
  const isNamed = namesOf(given) !== undefined;
  const rows: PipelineRow[] = [];
  const sources = { parts: new Map(), decode };
  for (const [i, object] of objects.value.entries()) {
    const row = bindPipelineRow(object, sources, manifest);
    if (!row.ok) {
      const problems = row.error.map(({ code, detail, field }) => {
        const pointer = fieldPointer(given, i, isNamed ? field : undefined);
        return { pointer, code, detail: `${pointer}: ${detail}` };
      });
      return err(refusal('invalid_input', problems));
    }
    rows.push(row.value);
  }
  return ok(rows);
}

function objectsOf(given: Given, manifest: ModelManifest): Result<readonly JsonObject[], Failure> {
  const [sole, ...others] = manifest.inputs;
  const isSole =
    manifest.preprocess.kind === 'tensor' &&
    namesOf(given) === undefined &&
    others.length === 0 &&
    sole !== undefined;
  if (given.format === 'row') {
    if (isSole) return ok(given.instances.map((instance) => ({ [sole.name]: instance })));
    const objects: JsonObject[] = [];
    for (const [i, instance] of given.instances.entries()) {
      if (!isJsonObject(instance)) return err(noObject(pointerTo(given.base, i)));
      objects.push(instance);
    }
    return ok(objects);
  }
  const inputs = isSole ? { [sole.name]: given.inputs } : given.inputs;
  if (!isJsonObject(inputs)) return err(noObject(given.base));
  // Such a model has no rows: what is given is one value of each input.
  if (manifest.preprocess.kind === 'tensor' && manifest.maxBatchSize === 0) return ok([inputs]);
  const names = Object.keys(inputs);
  const columns = isSole ? ok([soleInput(given)]) : namedInputs(given, names);
  if (!columns.ok) return columns;
  const rows = listsOf(columns.value, given, manifest);
  if (!rows.ok) return rows;
  return ok(
    rows.value.map((values) =>
      Object.fromEntries(names.map((name, i) => [name, values[i] ?? null])),
    ),
  );
}

/** What is given for each row: one value an input. All inputs are lists, and as long as each other. */
function listsOf(
  inputs: readonly GivenInput[],
  given: Given,
  manifest: ModelManifest,
): Result<readonly (readonly JsonValue[])[], Failure> {
  const lists: (readonly JsonValue[])[] = [];
  for (const { pointer, value } of inputs) {
    if (!Array.isArray(value)) {
      const detail = `${pointer([])} must be a list with one value for each row.`;
      return err(invalidInput(pointer([]), 'list', detail));
    }
    // All are as long as the first, so no value belongs to no row.
    const length = lists[0]?.length ?? value.length;
    if (value.length !== length) {
      const detail = `${pointer([])} has ${value.length} rows, others have ${length}; all must agree.`;
      return err(invalidInput(pointer([]), 'rows', detail));
    }
    lists.push(value as readonly JsonValue[]);
  }
  const rows = checkRows(lists[0]?.length ?? 0, manifest, given.base);
  if (!rows.ok) return rows;
  return ok(Array.from({ length: rows.value }, (_, row) => lists.map((list) => list[row] ?? null)));
}

function noObject(pointer: string): Failure {
  const detail = `${pointer} must be an object with the fields of the model.`;
  return invalidInput(pointer, 'object', detail);
}

function fieldPointer(given: Given, row: number, field: string | undefined): string {
  const path = field === undefined ? [] : [field];
  return given.format === 'row'
    ? pointerTo(given.base, row, ...path)
    : pointerTo(given.base, ...path, row);
}
