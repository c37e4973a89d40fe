/** Texts become token ids, padded to the smallest length that the model declares for them. */
import {
  type Datatype,
  type Failure,
  type PipelineRow,
  type Tensor,
  type TensorSpec,
  textProblem,
  type TextSpec,
} from '@inferry/contracts';
import { err, invariant, ok, type Result } from '@inferry/runtime';
import { modelError } from '../model-error.ts';
import { reject } from '../rejection.ts';
import type { SpecialTokens } from './special-tokens.ts';
import type { Tokenizer } from './tokenizer.ts';

interface TextInput {
  readonly tensors: readonly Tensor[];
  /** Elements of all tensors that no token fills. */
  readonly paddedElements: number;
}

/** A text as the model takes it, not padded yet. */
interface Encoded {
  readonly ids: readonly number[];
  readonly types: readonly number[];
}

/**
 * Tensors [rows, length], INT64 or INT32: ids, and where the model has inputs for them the attention mask and
 * the segments. `length` is the smallest bucket for the longest of the rows. `input_rejected`: a field is
 * missing, unknown or no text, has too many bytes, too many tokens where they may not be cut off, none, or a
 * character that there is no token for.
 */
export function textTensors(
  spec: TextSpec,
  tokenizer: Tokenizer,
  inputs: readonly TensorSpec[],
  rows: readonly PipelineRow[],
): Result<TextInput, Failure> {
  const problems: string[] = [];
  const encoded: Encoded[] = [];
  for (const [index, row] of rows.entries()) {
    const place = rows.length === 1 ? '' : `row ${index}: `;
    for (const name of Object.keys(row)) {
      if (name !== spec.input) problems.push(`${place}"${name}" is not an input of this model`);
    }
    const text = encode(spec, tokenizer, row[spec.input]);
    if (text.ok) encoded.push(text.value);
    else problems.push(`${place}"${spec.input}" ${text.error}`);
  }
  if (problems.length > 0) return reject(problems);
  const longest = encoded.reduce((most, { ids }) => Math.max(most, ids.length), 0);
  const length = spec.buckets.find((bucket) => bucket >= longest);
  invariant(length !== undefined, 'the last bucket holds the longest text');
  const tensors: Tensor[] = [];
  for (const { name, datatype } of inputs) {
    const filled = valuesOf(spec, name);
    if (filled === undefined || (datatype !== 'INT64' && datatype !== 'INT32')) {
      return modelError(`has an input that texts cannot fill: "${name}" (${datatype})`);
    }
    const values = padded(encoded, length, filled.padding, spec.padding.side, filled.of);
    tensors.push({
      name,
      datatype,
      shape: [rows.length, length],
      bytes: integerBytes(values, datatype),
    });
  }
  const filled = encoded.reduce((sum, { ids }) => sum + ids.length, 0);
  return ok({ tensors, paddedElements: (rows.length * length - filled) * inputs.length });
}

/** The error says what is wrong with the text, to follow its field's name. */
function encode(spec: TextSpec, tokenizer: Tokenizer, text: unknown): Result<Encoded, string> {
  const problem = textProblem(spec, text);
  if (problem !== undefined) return err(problem);
  invariant(typeof text === 'string', 'what can be used is text');
  const encoded = tokenizer.encode(text);
  if (!encoded.ok) return encoded;
  const own = encoded.value;
  const { before, after, type } = spec.hasSpecialTokens ? tokenizer.specialTokens : noSpecial;
  const room = Math.max(0, spec.lengthMax - before.length - after.length);
  const isCut = spec.overflow === 'truncate' && own.length > room;
  const kept = isCut ? cut(own, room, spec.truncationSide) : own;
  const ids = [...before.map(({ id }) => id), ...kept, ...after.map(({ id }) => id)];
  if (ids.length === 0) return err('has no tokens');
  if (ids.length > spec.lengthMax) {
    return err(`has ${ids.length} tokens; at most ${spec.lengthMax} are taken`);
  }
  const types = [
    ...before.map((mark) => mark.type),
    ...kept.map(() => type),
    ...after.map((mark) => mark.type),
  ];
  return ok({ ids, types });
}

const noSpecial: SpecialTokens = { before: [], after: [], type: 0 };

function cut(
  ids: readonly number[],
  room: number,
  side: TextSpec['truncationSide'],
): readonly number[] {
  return side === 'right' ? ids.slice(0, room) : ids.slice(ids.length - room);
}

/** What an input of the model holds, for each token and for padding. */
function valuesOf(
  { tensors, padding }: TextSpec,
  name: string,
): { readonly of: (text: Encoded) => readonly number[]; readonly padding: number } | undefined {
  switch (name) {
    case tensors.ids:
      return { of: ({ ids }) => ids, padding: padding.id };
    case tensors.mask:
      return { of: ({ ids }) => ids.map(() => 1), padding: 0 };
    case tensors.types:
      return { of: ({ types }) => types, padding: padding.typeId };
    default:
      return undefined;
  }
}

function padded(
  texts: readonly Encoded[],
  length: number,
  padding: number,
  side: TextSpec['padding']['side'],
  of: (text: Encoded) => readonly number[],
): Int32Array {
  const values = new Int32Array(texts.length * length).fill(padding);
  for (const [row, text] of texts.entries()) {
    const own = of(text);
    values.set(own, row * length + (side === 'left' ? length - own.length : 0));
  }
  return values;
}

function integerBytes(
  values: Int32Array,
  datatype: Extract<Datatype, 'INT64' | 'INT32'>,
): Uint8Array {
  if (datatype === 'INT32') return new Uint8Array(values.buffer);
  // Nothing is negative, so the upper halves are zeros.
  const halves = new Int32Array(values.length * 2);
  for (const [i, value] of values.entries()) halves[i * 2] = value;
  return new Uint8Array(halves.buffer);
}
