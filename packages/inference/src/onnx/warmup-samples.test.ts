import { joinBytes, type WarmupInput } from '@inferry/contracts';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { sampledInputs, sampleTensors } from './warmup-samples.ts';

async function bytesOf(input: Partial<WarmupInput>): Promise<Uint8Array | undefined> {
  const whole: WarmupInput = { name: 'x', datatype: 'FP32', shape: [2, 3], data: 'zero', ...input };
  const [tensor] = await sampleTensors({ rows: 2, count: 1, inputs: [whole] });
  return tensor?.bytes;
}

test('zeros fill the tensor, texts are empty', async () => {
  expect(await bytesOf({})).toEqual(new Uint8Array(24));
  expect(await bytesOf({ datatype: 'BYTES' })).toEqual(new Uint8Array(24));
});

test('random numbers are small, of every datatype, and the same each time', async () => {
  const floats = new Float32Array(
    (await bytesOf({ data: 'random' }))?.buffer ?? new ArrayBuffer(0),
  );
  expect(floats).toHaveLength(6);
  expect(new Set(floats).size).toBe(6);
  expect(floats.every((value) => value >= 0 && value < 1)).toBe(true);
  const longs = new BigInt64Array(
    (await bytesOf({ datatype: 'INT64', data: 'random' }))?.buffer ?? new ArrayBuffer(0),
  );
  expect(new Set(longs)).toEqual(new Set([0n, 1n]));
  expect(await bytesOf({ data: 'random' })).toEqual(await bytesOf({ data: 'random' }));
});

test('a file holds one row, which all have, or is told', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'inferry-warmup-'));
  const file = join(folder, 'x');
  const row = Uint8Array.from({ length: 12 }, (_, i) => i);
  await writeFile(file, row);
  expect(await bytesOf({ data: { file } })).toEqual(Uint8Array.of(...row, ...row));
  await expect(bytesOf({ shape: [2, 4], data: { file } })).rejects.toThrow(
    `${file} does not hold a row of FP32 [2, 4] for "x"`,
  );
  expect(await bytesOf({ shape: [2, 1], data: { file } })).toEqual(
    Uint8Array.of(0, 1, 2, 3, 0, 1, 2, 3),
  );
  const texts = joinBytes([Uint8Array.of(97), Uint8Array.of(98)]);
  await writeFile(file, texts);
  const text = { datatype: 'BYTES', shape: [2, 2], data: { file } } as const;
  expect(await bytesOf(text)).toEqual(Uint8Array.of(...texts, ...texts));
  await expect(bytesOf({ ...text, shape: [2, 3] })).rejects.toThrow('does not hold a row');
  await rm(folder, { recursive: true });
});

test('runs of other sizes have the dimensions of the first sample where they vary', () => {
  const inputs = [{ name: 'x', datatype: 'FP32', shape: [-1, -1, 3] }] as const;
  const sample = {
    rows: 2,
    count: 1,
    inputs: [{ ...inputs[0], shape: [2, 5, 3], data: 'zero' }],
  } as const;
  const of = (isBatched: boolean) =>
    sampledInputs({ inputs, isBatched, warmupSamples: [sample] })[0]?.shape;
  expect([of(true), of(false)]).toEqual([
    [-1, 5, 3],
    [2, 5, 3],
  ]);
  expect(sampledInputs({ inputs, isBatched: true, warmupSamples: [] })).toEqual(inputs);
});
