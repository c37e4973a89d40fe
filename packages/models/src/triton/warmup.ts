/** `model_warmup`: runs before a model is ready, with inputs that its operator chose. */
import {
  datatypeBytes,
  elementCount,
  type TensorSpec,
  type WarmupInput,
  type WarmupSample,
} from '@inferry/contracts';
import { join } from 'node:path';
import { isInnerPath } from '../model-folder.ts';
import { type CompleteConfig, datatypeOf } from './complete.ts';
import type { Notes } from './notes.ts';
import type { ConfigPath } from './read-config.ts';
import type { TritonWarmup, TritonWarmupInput } from './triton-config.ts';

const samplesMax = 64;
const countMax = 1_000;
/** Of one input of a sample: it is made, or read, in every compute thread. */
const elementsMax = 256 * 1024 * 1024;
const fileBytesMax = 1024 * 1024 * 1024;

/** The folder with files of data. */
export interface WarmupFolder {
  /** Absolute. */
  readonly path: string;
  /** Bytes of each file that the configuration names and that is there, by its path in the folder. */
  readonly sizes: ReadonlyMap<string, number>;
}

export function warmupSamples(
  { max_batch_size: rowsMax, model_warmup: samples = [] }: CompleteConfig,
  inputs: readonly TensorSpec[],
  folder: WarmupFolder,
  notes: Notes,
): readonly WarmupSample[] {
  if (samples.length > samplesMax) {
    notes.problem(['model_warmup', samplesMax], `at most ${samplesMax} samples are taken`);
    return [];
  }
  return samples.map((sample, i) => {
    const path = ['model_warmup', i];
    const rows = rowsOf(sample, rowsMax, path, notes);
    const { count = 0, inputs: given = {} } = sample;
    if (count > countMax) notes.problem([...path, 'count'], `is above ${countMax}`);
    for (const name of Object.keys(given)) {
      if (inputs.some((input) => input.name === name)) continue;
      notes.problem([...path, 'inputs', name], 'the model has no such input');
    }
    const made = inputs.flatMap((input): readonly WarmupInput[] => {
      const own = Object.hasOwn(given, input.name) ? given[input.name] : undefined;
      const at = [...path, 'inputs', input.name];
      if (own !== undefined)
        return inputOf(own, input, { rows: rowsMax > 0 ? rows : null, folder, at }, notes);
      notes.problem([...path, 'inputs'], `lacks input "${input.name}"`);
      return [];
    });
    return { rows, count: Math.max(1, Math.min(count, countMax)), inputs: made };
  });
}

function rowsOf(
  { batch_size: rows = 0 }: TritonWarmup,
  rowsMax: number,
  path: ConfigPath,
  notes: Notes,
): number {
  if (rowsMax === 0 && rows > 1) {
    notes.problem([...path, 'batch_size'], `is ${rows}; the model has no batch dimension`);
  }
  if (rowsMax > 0 && rows > rowsMax) {
    notes.problem([...path, 'batch_size'], `is ${rows}; max_batch_size is ${rowsMax}`);
  }
  return Math.max(1, rows);
}

interface Place {
  /** Null for a model without a batch dimension. */
  readonly rows: number | null;
  readonly folder: WarmupFolder;
  readonly at: ConfigPath;
}

function inputOf(
  given: TritonWarmupInput,
  { datatype, name, shape }: TensorSpec,
  { at, folder, rows }: Place,
  notes: Notes,
): readonly WarmupInput[] {
  const dims = given.dims ?? [];
  const declared = rows === null ? shape : shape.slice(1);
  const own = rows === null ? dims : [rows, ...dims];
  const fits =
    dims.length === declared.length &&
    declared.every((size, i) => size === -1 || size === dims[i]) &&
    dims.every((size) => size >= 1);
  if (datatypeOf(given) !== datatype) {
    notes.problem([...at, 'data_type'], `must be that of the input, ${datatype}`);
  } else if (!fits) {
    const message = `[${dims.join(', ')}] must fit the input, [${declared.join(', ')}], with a size for each -1`;
    notes.problem([...at, 'dims'], message);
  } else if (elementCount(own) > elementsMax) {
    notes.problem([...at, 'dims'], `are more than ${elementsMax} elements`);
  } else {
    const rowBytes = datatype === 'BYTES' ? 0 : elementCount(dims) * datatypeBytes[datatype];
    const data = dataOf(given, rowBytes, { folder, at }, notes);
    if (data !== undefined) return [{ name, datatype, shape: own, data }];
  }
  return [];
}

/** A file holds one row, which every row of the sample has, as in Triton; `rowBytes` 0 where that may vary. */
function dataOf(
  { input_data_file: file, random_data: random, zero_data: zero }: TritonWarmupInput,
  rowBytes: number,
  { at, folder }: Pick<Place, 'at' | 'folder'>,
  notes: Notes,
): WarmupInput['data'] | undefined {
  if (zero === true) return 'zero';
  if (random === true) return 'random';
  if (file === undefined) {
    notes.problem(at, 'needs zero_data, random_data or input_data_file');
    return undefined;
  }
  if (!isInnerPath(file)) {
    notes.problem([...at, 'input_data_file'], 'must be the path of a file below the folder warmup');
    return undefined;
  }
  const path = join(folder.path, file);
  const size = folder.sizes.get(file);
  let problem: string | null = null;
  if (size === undefined) problem = 'is not there';
  else if (size > fileBytesMax) problem = `has ${size} bytes; at most ${fileBytesMax} are read`;
  else if (size < rowBytes) problem = `has ${size} bytes; a row needs ${rowBytes}`;
  if (problem === null) return { file: path };
  notes.problem([...at, 'input_data_file'], `${path} ${problem}`);
  return undefined;
}
