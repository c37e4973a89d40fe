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

test('a file holds exactly the tensor, or is told', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'inferry-warmup-'));
  const file = join(folder, 'x');
  await writeFile(file, new Uint8Array(24).fill(7));
  expect(await bytesOf({ data: { file } })).toEqual(new Uint8Array(24).fill(7));
  await expect(bytesOf({ shape: [2, 4], data: { file } })).rejects.toThrow(
    `${file} does not hold FP32 [2, 4] for "x"`,
  );
  await writeFile(file, joinBytes([Uint8Array.of(97), Uint8Array.of(98)]));
  const text = { datatype: 'BYTES', shape: [2], data: { file } } as const;
  expect(await bytesOf(text)).toHaveLength(10);
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
