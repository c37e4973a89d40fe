import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { hardwareName } from './hardware.ts';

let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'gpus-'));
});
afterEach(async () => {
  await rm(directory, { recursive: true });
});

async function addGpu(bus: string, model: string): Promise<void> {
  await mkdir(join(directory, bus));
  const text = `Model: \t\t ${model}\nIRQ:   \t\t 16\n`;
  await writeFile(join(directory, bus, 'information'), text);
}

test('a processor is named with its cores', () => {
  expect(hardwareName({ kind: 'cpu' })).toContain(`, ${availableParallelism()} cores`);
});

test('GPUs are named once a kind', async () => {
  await addGpu('0000:01:00.0', 'NVIDIA H200');
  await addGpu('0000:02:00.0', 'NVIDIA H200');
  expect(hardwareName({ kind: 'cuda' }, directory)).toBe('NVIDIA H200');
  await addGpu('0000:03:00.0', 'NVIDIA A100');
  expect(hardwareName({ kind: 'cuda' }, directory)).toBe('NVIDIA A100, NVIDIA H200');
});

test('a GPU that the driver does not list has no name of its own', () => {
  expect(hardwareName({ kind: 'cuda' }, join(directory, 'none'))).toBe('unknown GPU');
});
