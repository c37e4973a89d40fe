/** Inputs that the operator of a model chose for its warm-up. */
import {
  datatypeBytes,
  elementCount,
  joinBytes,
  numberToHalf,
  splitBytes,
  type Tensor,
  type TensorSpec,
  type WarmupInput,
  type WarmupSample,
} from '@inferry/contracts';
import { readFile } from 'node:fs/promises';
import type { ThreadStart } from './thread-messages.ts';

/** The tensors of a sample. Rejects with a reason for the operator when a file does not hold the tensor. */
export async function sampleTensors(sample: WarmupSample): Promise<Tensor[]> {
  return Promise.all(sample.inputs.map((input) => sampleTensor(input, sample.rows)));
}

/** The inputs with the dimensions of the first sample where they vary, but for the rows. */
export function sampledInputs({
  inputs,
  isBatched,
  warmupSamples: [first],
}: Pick<ThreadStart, 'inputs' | 'isBatched' | 'warmupSamples'>): readonly TensorSpec[] {
  return inputs.map((input) => {
    const given = first?.inputs.find(({ name }) => name === input.name)?.shape;
    if (given === undefined) return input;
    return { ...input, shape: isBatched ? [-1, ...given.slice(1)] : given };
  });
}

async function sampleTensor(
  { data, datatype, name, shape }: WarmupInput,
  rows: number,
): Promise<Tensor> {
  const count = elementCount(shape);
  const size = count * (datatype === 'BYTES' ? 4 : datatypeBytes[datatype]);
  if (data === 'zero') return { name, datatype, shape, bytes: new Uint8Array(size) };
  if (data === 'random') return { name, datatype, shape, bytes: randomBytes(datatype, count) };
  const read = new Uint8Array(await readFile(data.file));
  // Of longer files Triton takes the beginning.
  const row = datatype === 'BYTES' ? read : read.subarray(0, size / rows);
  const isWhole =
    datatype === 'BYTES'
      ? splitBytes(row, count / rows) !== undefined
      : row.byteLength === size / rows;
  if (!isWhole) {
    const all = `${datatype} [${shape.join(', ')}]`;
    throw new Error(`${data.file} does not hold a row of ${all} for "${name}"`);
  }
  const bytes = new Uint8Array(row.byteLength * rows);
  for (let i = 0; i < rows; i += 1) bytes.set(row, i * row.byteLength);
  return { name, datatype, shape, bytes };
}

/** Small numbers, so that whatever is an index or a count stays one; the same each time. */
function randomBytes(datatype: WarmupInput['datatype'], count: number): Uint8Array {
  let seed = 1;
  const unit = (): number => {
    seed = (Math.imul(seed, 1_664_525) + 1_013_904_223) >>> 0;
    return seed / 2 ** 32;
  };
  if (datatype === 'BYTES') {
    return joinBytes(
      Array.from({ length: count }, () => Uint8Array.of(97 + Math.floor(unit() * 26))),
    );
  }
  const size = datatypeBytes[datatype];
  const view = new DataView(new ArrayBuffer(count * size));
  for (let at = 0; at < view.byteLength; at += size) {
    const value = unit();
    if (datatype === 'FP32') view.setFloat32(at, value, true);
    else if (datatype === 'FP64') view.setFloat64(at, value, true);
    else if (datatype === 'FP16') view.setUint16(at, numberToHalf(value), true);
    else view.setUint8(at, value < 0.5 ? 0 : 1);
  }
  return new Uint8Array(view.buffer);
}
