/** `preprocess.text` checked against the model's inputs and its tokenizer, with every default filled in. */
import { resolve } from 'node:path';
import type { PreprocessSpec, TensorSpec, TextSpec } from '@inferry/contracts';
import type { z } from 'zod';
import type { FileProblem } from './file-problem.ts';
import type { ParsedModelYaml } from './model-yaml.ts';
import { shapeText } from './signature-agreement.ts';
import type { text } from './text-schema.ts';
import type { TokenizerFile } from './tokenizer-file.ts';

type TextYaml = z.output<typeof text>;
type Complain = (path: readonly string[], message: string) => void;

const shortestBucket = 16;

export function textSpec(
  section: TextYaml,
  tokenizer: TokenizerFile,
  inputs: readonly TensorSpec[],
  yaml: ParsedModelYaml,
  problems: FileProblem[],
): PreprocessSpec {
  const complain: Complain = (path, message) => {
    problems.push(yaml.problemAt(['preprocess', 'text', ...path], message));
  };
  const tensors = filledInputs(section, inputs, complain);
  const fixed = fixedLength(inputs, complain);
  const lengthMax = lengthOf(section, tokenizer, fixed, complain);
  const id = section.pad_id ?? tokenizer.padId;
  if (id === null) {
    complain([], `needs pad_id: ${tokenizer.file} has no padding token`);
  }
  return {
    kind: 'text',
    input: section.input,
    tokenizerFile: resolve(tokenizer.file),
    bytesMax: section.max_bytes,
    lengthMax,
    overflow: section.truncation ? 'truncate' : 'refuse',
    truncationSide: section.truncation_side ?? tokenizer.truncationSide ?? 'right',
    hasSpecialTokens: section.special_tokens,
    buckets: bucketsOf(section, lengthMax, fixed, complain),
    padding: {
      id: id ?? 0,
      typeId: tokenizer.padTypeId,
      side: section.pad_side ?? tokenizer.padSide ?? 'right',
    },
    tensors,
  };
}

/** Which of the model's inputs get what; each must get something. */
function filledInputs(
  section: TextYaml,
  inputs: readonly TensorSpec[],
  complain: Complain,
): TextSpec['tensors'] {
  const names = inputs.map(({ name }) => name);
  const find = (key: keyof TextYaml['inputs']): string | null => {
    const given = section.inputs[key];
    if (given !== undefined && !names.includes(given)) {
      complain(['inputs', key], `the model has no input "${given}"; it has: ${shown(names)}`);
    }
    return given ?? (names.includes(key) ? key : null);
  };
  const ids = find('input_ids');
  const tensors = { ids: ids ?? '', mask: find('attention_mask'), types: find('token_type_ids') };
  if (ids === null) {
    complain([], `needs inputs.input_ids: the model's inputs are ${shown(names)}`);
  }
  const filled = [tensors.ids, tensors.mask, tensors.types].filter((name) => name !== null);
  if (new Set(filled).size < filled.length) complain(['inputs'], 'names one input twice');
  for (const { name, datatype, shape } of inputs) {
    if (!filled.includes(name)) {
      if (ids !== null) complain([], `does not fill input "${name}"`);
    } else if (datatype !== 'INT64' && datatype !== 'INT32') {
      complain([], `makes INT64 or INT32; input "${name}" is ${datatype}`);
    } else if (shape.length !== 2 || (shape[0] !== -1 && shape[0] !== 1)) {
      complain([], `makes a tensor of shape [-1, length]; input "${name}" is ${shapeText(shape)}`);
    }
  }
  return tensors;
}

function shown(names: readonly string[]): string {
  return names.slice(0, 10).join(', ');
}

/** The length that the model was exported with; null where it varies. */
function fixedLength(inputs: readonly TensorSpec[], complain: Complain): number | null {
  const lengths = new Set(inputs.map(({ shape }) => shape[1] ?? -1).filter((size) => size !== -1));
  if (lengths.size > 1) {
    complain([], `makes tensors of one length; the model's have ${[...lengths].join(' and ')}`);
  }
  const [first = null] = lengths;
  return first;
}

function lengthOf(
  section: TextYaml,
  tokenizer: TokenizerFile,
  fixed: number | null,
  complain: Complain,
): number {
  const given = section.max_length;
  if (given !== undefined && fixed !== null && given !== fixed) {
    complain(['max_length'], `is ${given}; the model takes exactly ${fixed} tokens`);
  }
  const length = given ?? fixed ?? tokenizer.lengthMax;
  if (length === null) {
    complain([], `needs max_length: neither the model nor ${tokenizer.file} has one`);
    return 1;
  }
  const special = section.special_tokens ? tokenizer.specialTokens : 0;
  if (length <= special) {
    complain(
      ['max_length'],
      `is ${length}; the tokens that mark the ends of a text take ${special}`,
    );
  }
  return length;
}

function bucketsOf(
  section: TextYaml,
  lengthMax: number,
  fixed: number | null,
  complain: Complain,
): readonly number[] {
  const given = section.buckets;
  if (fixed !== null) {
    if (given !== undefined && given.some((length) => length !== fixed)) {
      complain(['buckets'], `the model takes exactly ${fixed} tokens`);
    }
    return [fixed];
  }
  if (given === undefined) {
    const buckets: number[] = [];
    for (let length = shortestBucket; length < lengthMax; length *= 2) buckets.push(length);
    return [...buckets, lengthMax];
  }
  for (const [i, length] of given.entries()) {
    if (length <= (given[i - 1] ?? 0)) complain(['buckets'], 'must ascend');
  }
  const longest = given.at(-1) ?? 0;
  if (longest > lengthMax) complain(['buckets'], `${longest} is above max_length, ${lengthMax}`);
  return longest === lengthMax ? given : [...given, lengthMax];
}
