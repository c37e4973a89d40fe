/** Nested lists of a predict request as raw tensors of the model, and its outputs as nested lists. */
import {
  elementCount,
  type Failure,
  type ModelManifest,
  nestedLeaves,
  positionOf,
  type Tensor,
  type TensorSpec,
} from '@inferry/contracts';
import { err, ok, type Result } from '@inferry/runtime';

import type { DecodeBase64 } from '../base64.ts';
import { elementTexts, encodeLeaves } from '../elements.ts';
import { invalidInput } from '../refusals.ts';
import { type BoundInput, checkRows } from '../tensor-request.ts';
import { type Given, type GivenInput, namedInputs, namesOf, soleInput } from './given.ts';

/** Outputs with this ending are bytes, whatever they hold. */
const bytesEnding = '_bytes';

/** Error: `invalid_input`, at the entry that does not fit. */
export function bindNested(
  given: Given,
  manifest: ModelManifest,
  decode: DecodeBase64,
): Result<BoundInput, Failure> {
  const inputs = inputsOf(given, manifest);
  if (!inputs.ok) return inputs;
  const entries = checkEntries(given, manifest);
  if (entries !== undefined) return err(entries);
  const tensors: Tensor[] = [];
  for (const [i, spec] of manifest.inputs.entries()) {
    const input = inputs.value[i];
    if (input === undefined) break;
    const tensor = readTensor(input, spec, decode);
    if (!tensor.ok) return tensor;
    tensors.push(tensor.value);
  }
  const rows = countRows(tensors, given, manifest);
  if (!rows.ok) return rows;
  return ok({ input: { form: 'tensors', tensors }, rows: rows.value });
}

function inputsOf(given: Given, manifest: ModelManifest): Result<readonly GivenInput[], Failure> {
  const { inputs, name } = manifest;
  if (namesOf(given) !== undefined) {
    return namedInputs(
      given,
      inputs.map((spec) => spec.name),
    );
  }
  if (inputs.length === 1) return ok([soleInput(given)]);
  const base = given.base;
  const wanted = inputs.map((spec) => `"${spec.name}" (${describe(spec)})`).join(', ');
  const detail = `${base}: model "${name}" has several inputs, which have to be named: ${wanted}.`;
  return err(invalidInput(base, 'names', detail));
}

/** Before the entries are looked at: there may be a million. And an answer must have one for each of them. */
function checkEntries(given: Given, manifest: ModelManifest): Failure | undefined {
  if (given.format === 'columnar') return undefined;
  const { length } = given.instances;
  if (manifest.maxBatchSize > 0) {
    const rows = checkRows(length, manifest, given.base);
    return rows.ok ? undefined : rows.error;
  }
  const other = manifest.outputs.find(({ shape }) => shape[0] !== -1 && shape[0] !== length);
  return other === undefined ? undefined : notByRow(other, length);
}

function notByRow(output: Pick<Tensor, 'name' | 'shape'>, instances: number): Failure {
  const shape = output.shape.join(',');
  const detail = `Output "${output.name}" is [${shape}] and has not one entry for each of ${instances} instances; give "inputs" instead of "instances".`;
  return invalidInput('#/instances', 'format', detail);
}

function readTensor(
  { pointer, value }: GivenInput,
  spec: TensorSpec,
  decode: DecodeBase64,
): Result<Tensor, Failure> {
  const { datatype, name } = spec;
  const refused = (at: readonly number[], text: string): Failure => {
    const place = pointer(at);
    const detail = `${place} ${text}; input "${name}" is ${describe(spec)}.`;
    return invalidInput(place, 'data', detail);
  };
  const nested = nestedLeaves(value, spec.shape);
  if (!nested.ok) return err(refused(nested.error.at, nested.error.text));
  const { leaves, shape } = nested.value;
  const bytes = encodeLeaves(leaves, datatype, decode);
  if (!bytes.ok) return err(refused(positionOf(bytes.error.index, shape), bytes.error.text));
  return ok({ name, datatype, shape, bytes: bytes.value });
}

/** The leading dimension, which all inputs of a model that batches share. */
function countRows(
  tensors: readonly Tensor[],
  given: Given,
  manifest: ModelManifest,
): Result<number, Failure> {
  const [first] = tensors;
  if (manifest.maxBatchSize === 0 || first === undefined) return ok(1);
  const rows = first.shape[0] ?? 1;
  const base = given.base;
  const other = tensors.find(({ shape }) => (shape[0] ?? 1) !== rows);
  if (other === undefined) return checkRows(rows, manifest, base);
  const detail = `Input "${other.name}" has ${other.shape[0]} rows, "${first.name}" has ${rows}; all inputs must agree.`;
  return err(invalidInput(base, 'rows', detail));
}

/** The value of `predictions`. Error: `invalid_input` where an output has not one entry for each instance. */
export function writePredictions(
  tensors: readonly Tensor[],
  instances: number,
): Result<string, Failure> {
  const other = tensors.find(({ shape }) => shape[0] !== instances);
  if (other !== undefined) return err(notByRow(other, instances));
  const columns = tensors.map((tensor) => ({
    key: JSON.stringify(tensor.name),
    entries: entryTexts(tensor),
  }));
  const [only] = columns;
  if (only !== undefined && columns.length === 1) return ok(`[${only.entries.join(',')}]`);
  const rows = Array.from(
    { length: instances },
    (_, row) => `{${columns.map(({ entries, key }) => `${key}:${entries[row]}`).join(',')}}`,
  );
  return ok(`[${rows.join(',')}]`);
}

/** The value of `outputs`. */
export function writeOutputs(tensors: readonly Tensor[]): string {
  const texts = tensors.map((tensor) => {
    const entries = entryTexts(tensor);
    return tensor.shape.length === 0 ? (entries[0] ?? 'null') : `[${entries.join(',')}]`;
  });
  const [only] = texts;
  if (only !== undefined && texts.length === 1) return only;
  return `{${tensors.map(({ name }, i) => `${JSON.stringify(name)}:${texts[i]}`).join(',')}}`;
}

/** JSON of the entries along the first dimension; one for a scalar. */
function entryTexts({ bytes, datatype, name, shape }: Tensor): readonly string[] {
  const isBase64 = name.endsWith(bytesEnding);
  let texts = elementTexts(bytes, datatype, elementCount(shape), isBase64);
  for (let axis = shape.length - 1; axis >= 1; axis -= 1) {
    const size = shape[axis] ?? 0;
    const inner = texts;
    texts = Array.from(
      { length: elementCount(shape.slice(0, axis)) },
      (_, i) => `[${inner.slice(i * size, (i + 1) * size).join(',')}]`,
    );
  }
  return texts;
}

function describe({ datatype, shape }: TensorSpec): string {
  return `${datatype} [${shape.join(',')}]`;
}
