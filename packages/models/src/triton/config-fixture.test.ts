/** A Triton model repository in a folder of the test, and what is read of it. */
import type { ModelManifest } from '@inferry/contracts';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { problemText } from '../file-problem.ts';
import { loadRepository, type RepositoryProblem } from '../load-repository.ts';
import { writeOnnx, type WrittenModel } from '../onnx-writer.test.ts';

let folder = '';

// Hooks of this module are hooks of every file that imports it.
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'inferry-triton-'));
});
afterEach(() => rm(folder, { recursive: true }));

export function inFolder(path: string): string {
  return join(folder, path);
}

export async function put(path: string, content: string | Uint8Array): Promise<void> {
  const file = join(folder, path);
  await mkdir(dirname(file), { recursive: true });
  await writeFile(file, content);
}

export const batched: WrittenModel = {
  inputs: [{ name: 'x', type: 1, shape: [null, 4] }],
  outputs: [{ name: 'y', type: 1, shape: [null, 3] }],
};
/** The six lines with which every configuration of the table begins. */
export const head = `name: "m"
backend: "onnxruntime"
max_batch_size: 8
input { name: "x" data_type: TYPE_FP32 dims: 4 }
output { name: "y" data_type: TYPE_FP32 dims: 3 }
dynamic_batching { }
`;

interface Found {
  readonly models: readonly ModelManifest[];
  readonly problems: readonly string[];
  readonly warnings: readonly string[];
}

export async function load(): Promise<Found> {
  const { models, problems, warnings } = await loadRepository(folder);
  const texts = (list: readonly RepositoryProblem[]): string[] =>
    list.map((problem) => problemText(problem).replaceAll(`${folder}/`, ''));
  return { models, problems: texts(problems), warnings: texts(warnings) };
}

export async function loadConfig(config: string, model: WrittenModel = batched): Promise<Found> {
  await put('m/1/model.onnx', writeOnnx(model));
  await put('m/config.pbtxt', config);
  return load();
}

/** `head` without one of its fields, and with other lines behind it. */
export function configOf(more: string, without = ''): string {
  const kept = head.split('\n').filter((line) => without === '' || !line.startsWith(without));
  return `${kept.join('\n')}${more}`;
}

test('the configuration that tests begin with is served, with nothing to say', async () => {
  const { models, problems, warnings } = await loadConfig(head);
  expect({ problems, warnings }).toEqual({ problems: [], warnings: [] });
  expect(models).toMatchObject([{ name: 'm', version: '1', maxBatchSize: 8 }]);
});
