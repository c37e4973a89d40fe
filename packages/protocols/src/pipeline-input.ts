/** One row of a pipeline's input, checked against the model before it is queued. */
import {
  columnProblem,
  type Failure,
  fieldShape,
  type JsonValue,
  type ModelManifest,
  type PipelineRow,
  readNested,
  type TabularSpec,
  textProblem,
  type TextSpec,
} from '@inferry/contracts';
import { err, invariant, ok, type Result } from '@inferry/runtime';

import type { DecodeBase64 } from './base64.ts';
import { isJsonObject } from './json.ts';
import { pointerTo, refusal } from './refusals.ts';

/** The bytes of the multipart parts of a request, by name. */
export type Parts = ReadonlyMap<string, Uint8Array>;

/** Where the bytes are that an input refers to. */
export interface BytesSources {
  readonly parts: Parts;
  readonly decode: DecodeBase64;
}

/** What is wrong with a row. */
interface RowProblem {
  /** Undefined where it is the row as a whole. */
  readonly field: string | undefined;
  readonly code: string;
  readonly detail: string;
}

type BoundRow = Result<PipelineRow, readonly RowProblem[]>;

const base = '#/input';
/** What an object that stands for bytes may have. */
const binaryMembers: readonly string[] = ['$b64', '$part', 'media_type'];

/** The row in the member `input` of the job API. Error: `invalid_input`, all problems at once. */
export function bindPipelineInput(
  input: Readonly<Record<string, JsonValue>>,
  sources: BytesSources,
  manifest: ModelManifest,
): Result<PipelineRow, Failure> {
  const row = bindPipelineRow(input, sources, manifest);
  if (row.ok) return row;
  const problems = row.error.map(({ code, detail, field }) => ({
    pointer: field === undefined ? base : pointerTo(base, field),
    code,
    detail,
  }));
  return err(refusal('invalid_input', problems));
}

/**
 * A row from an object with the fields the model's pipeline names. Bytes are given as `{"$b64": ...}` or
 * `{"$part": ...}`. The error has all problems, at least one.
 */
export function bindPipelineRow(
  input: Readonly<Record<string, JsonValue>>,
  sources: BytesSources,
  manifest: ModelManifest,
): BoundRow {
  switch (manifest.preprocess.kind) {
    case 'image':
      return bindImage(input, sources, manifest.preprocess.input);
    case 'tabular':
      return bindColumns(input, manifest.preprocess);
    case 'text':
      return bindText(input, manifest.preprocess);
    case 'tensor':
      return bindFields(input, manifest);
    case 'none': {
      const names = manifest.inputs.map((spec) => `"${spec.name}"`).join(', ');
      const detail = `Model "${manifest.name}" takes tensors: give "input": {"inputs": [...]} with ${names}.`;
      return err([{ field: undefined, code: 'tensors_expected', detail }]);
    }
  }
}

function bindImage(
  input: Readonly<Record<string, JsonValue>>,
  sources: BytesSources,
  field: string,
): BoundRow {
  const unknown = unknownField(input, field);
  if (unknown !== undefined) return err([unknown]);
  const value = input[field];
  if (value === undefined) {
    const detail = `"${field}" is missing: give {"$b64": "<base64 of a PNG, JPEG...>"}.`;
    return err([{ field, code: 'missing', detail }]);
  }
  const bytes = readBinary(value, sources);
  if (!bytes.ok) return err([{ field, code: 'binary', detail: `"${field}" ${bytes.error}.` }]);
  if (bytes.value.length === 0) {
    return err([{ field, code: 'empty', detail: `"${field}" is empty.` }]);
  }
  return ok({ [field]: bytes.value });
}

/** The error is what is wrong, to follow the field's name. */
function readBinary(value: JsonValue, { parts, decode }: BytesSources): Result<Uint8Array, string> {
  const expected = 'must be {"$b64": "..."} or {"$part": "<name of a multipart part>"}';
  // Before its members are looked at: there may be a million of them.
  if (!isJsonObject(value) || Object.keys(value).length > binaryMembers.length) {
    return err(expected);
  }
  const members = new Map(Object.entries(value));
  const text = members.get('$b64');
  const name = members.get('$part');
  for (const [key, member] of members) {
    if (!binaryMembers.includes(key) || typeof member !== 'string') {
      return err(expected);
    }
  }
  if (typeof text === 'string' && name === undefined) {
    const bytes = decode(text);
    return bytes === undefined ? err('is not valid base64') : ok(bytes);
  }
  if (typeof name !== 'string' || text !== undefined) return err(expected);
  const part = parts.get(name);
  return part === undefined ? err(`names the part "${name}", which is not in the body`) : ok(part);
}

function unknownField(
  input: Readonly<Record<string, JsonValue>>,
  field: string,
): RowProblem | undefined {
  const name = Object.keys(input).find((key) => key !== field);
  if (name === undefined) return undefined;
  const detail = `"${name}" is not known; the model takes "${field}".`;
  return { field: name, code: 'unknown_input', detail };
}

function bindText(input: Readonly<Record<string, JsonValue>>, spec: TextSpec): BoundRow {
  const unknown = unknownField(input, spec.input);
  if (unknown !== undefined) return err([unknown]);
  const field = spec.input;
  const value = Object.hasOwn(input, field) ? input[field] : undefined;
  const problem = textProblem(spec, value);
  if (problem === undefined && value !== undefined) return ok({ [field]: value });
  const code = value === undefined ? 'missing' : 'text';
  return err([{ field, code, detail: `"${field}" ${problem}.` }]);
}

/** Each field is one of the model's inputs as nested arrays, without the batch dimension. */
function bindFields(
  input: Readonly<Record<string, JsonValue>>,
  { inputs, maxBatchSize }: ModelManifest,
): BoundRow {
  const problems: RowProblem[] = [];
  for (const spec of inputs) {
    const field = spec.name;
    const value = Object.hasOwn(input, spec.name) ? input[spec.name] : undefined;
    const shape = fieldShape(spec, maxBatchSize);
    if (value === undefined) {
      const detail = `"${spec.name}" is missing; it is ${spec.datatype} [${shape.join(', ')}].`;
      problems.push({ field, code: 'missing', detail });
      continue;
    }
    invariant(spec.datatype !== 'BF16', 'a model that takes BF16 is not loaded');
    const read = readNested(value, spec.datatype, shape);
    if (!read.ok) problems.push({ field, code: 'data', detail: `"${spec.name}" ${read.error}.` });
  }
  const names = inputs.map(({ name }) => name);
  problems.push(...unknownNames(input, names, ['an input', 'inputs']));
  return problems.length > 0 ? err(problems) : ok(input);
}

function bindColumns(input: Readonly<Record<string, JsonValue>>, spec: TabularSpec): BoundRow {
  const problems: RowProblem[] = [];
  const row: Record<string, JsonValue> = {};
  for (const column of spec.columns) {
    const value = Object.hasOwn(input, column.name) ? input[column.name] : undefined;
    const problem = columnProblem(column, value);
    if (problem !== undefined) {
      const detail = `"${column.name}" ${problem.text}.`;
      problems.push({ field: column.name, code: problem.code, detail });
    } else if (value !== undefined) {
      row[column.name] = typeof value === 'bigint' ? Number(value) : value;
    }
  }
  const names = spec.columns.map((column) => column.name);
  problems.push(...unknownNames(input, names, ['a column', 'columns']));
  return problems.length > 0 ? err(problems) : ok(row);
}

/** A problem for each member that is none of `names`. */
function unknownNames(
  input: Readonly<Record<string, JsonValue>>,
  names: readonly string[],
  [one, many]: readonly [string, string],
): readonly RowProblem[] {
  const known = new Set(names);
  const told = names.join(', ');
  return Object.keys(input)
    .filter((name) => !known.has(name))
    .map((name) => ({
      field: name,
      code: 'unknown_input',
      detail: `"${name}" is not ${one} of the model; the ${many} are ${told}.`,
    }));
}
