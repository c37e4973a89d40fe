/** One row of a pipeline's input in the job API, checked against the model before it is queued. */
import {
  columnProblem,
  type Failure,
  type JsonValue,
  type ModelManifest,
  type PipelineRow,
  type TabularSpec,
} from '@inferry/contracts';
import { err, ok, type Result } from '@inferry/runtime';

import type { DecodeBase64 } from './base64.ts';
import { invalidInput, pointerTo, type Problem, refusal } from './refusals.ts';

/** The bytes of the multipart parts of a request, by name. */
export type Parts = ReadonlyMap<string, Uint8Array>;

/** Where the bytes are that an input refers to. */
export interface BytesSources {
  readonly parts: Parts;
  readonly decode: DecodeBase64;
}

const base = '#/input';

/**
 * The row in `input`, an object with the fields the model's pipeline names. Bytes are given as
 * `{"$b64": ...}` or `{"$part": ...}`. Error: `invalid_input`, all problems at once.
 */
export function bindPipelineInput(
  input: Readonly<Record<string, JsonValue>>,
  sources: BytesSources,
  manifest: ModelManifest,
): Result<PipelineRow, Failure> {
  switch (manifest.preprocess.kind) {
    case 'image':
      return bindImage(input, sources, manifest.preprocess.input);
    case 'tabular':
      return bindColumns(input, manifest.preprocess);
    case 'none': {
      const names = manifest.inputs.map((spec) => `"${spec.name}"`).join(', ');
      const detail = `Model "${manifest.name}" takes tensors: give "input": {"inputs": [...]} with ${names}.`;
      return err(invalidInput(base, 'tensors_expected', detail));
    }
  }
}

function bindImage(
  input: Readonly<Record<string, JsonValue>>,
  sources: BytesSources,
  field: string,
): Result<PipelineRow, Failure> {
  for (const name of Object.keys(input)) {
    if (name === field) continue;
    const detail = `"${name}" is not known; the model takes "${field}".`;
    return err(invalidInput(pointerTo(base, name), 'unknown_input', detail));
  }
  const pointer = pointerTo(base, field);
  const value = input[field];
  if (value === undefined) {
    const detail = `"${field}" is missing: give {"$b64": "<base64 of a PNG, JPEG...>"}.`;
    return err(invalidInput(pointer, 'missing', detail));
  }
  const bytes = readBinary(value, sources);
  if (!bytes.ok) return err(invalidInput(pointer, 'binary', `"${field}" ${bytes.error}.`));
  if (bytes.value.length === 0) {
    return err(invalidInput(pointer, 'empty', `"${field}" is empty.`));
  }
  return ok({ [field]: bytes.value });
}

/** The error is what is wrong, to follow the field's name. */
function readBinary(value: JsonValue, { parts, decode }: BytesSources): Result<Uint8Array, string> {
  const expected = 'must be {"$b64": "..."} or {"$part": "<name of a multipart part>"}';
  if (value === null || typeof value !== 'object') return err(expected);
  const members = new Map(Object.entries(value));
  const text = members.get('$b64');
  const name = members.get('$part');
  for (const [key, member] of members) {
    if (!['$b64', '$part', 'media_type'].includes(key) || typeof member !== 'string') {
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

function bindColumns(
  input: Readonly<Record<string, JsonValue>>,
  spec: TabularSpec,
): Result<PipelineRow, Failure> {
  const problems: Problem[] = [];
  const row: Record<string, JsonValue> = {};
  for (const column of spec.columns) {
    const value = Object.hasOwn(input, column.name) ? input[column.name] : undefined;
    const problem = columnProblem(column, value);
    if (problem !== undefined) {
      const detail = `"${column.name}" ${problem.text}.`;
      problems.push({ pointer: pointerTo(base, column.name), code: problem.code, detail });
    } else if (value !== undefined) {
      row[column.name] = typeof value === 'bigint' ? Number(value) : value;
    }
  }
  const known = new Set(spec.columns.map((column) => column.name));
  const columns = [...known].join(', ');
  for (const name of Object.keys(input)) {
    if (known.has(name)) continue;
    const detail = `"${name}" is not a column of the model; the columns are ${columns}.`;
    problems.push({ pointer: pointerTo(base, name), code: 'unknown_input', detail });
  }
  return problems.length > 0 ? err(refusal('invalid_input', problems)) : ok(row);
}
