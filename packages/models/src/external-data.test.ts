/** Models whose weights lie in files of their own: these count as parts of the model. */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { problemText } from './file-problem.ts';
import { loadRepository } from './load-repository.ts';
import { writeOnnx } from './onnx-writer.test.ts';

let folder = '';
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'inferry-weights-'));
});
afterEach(() => rm(folder, { recursive: true }));

async function put(path: string, content: string | Uint8Array): Promise<void> {
  await mkdir(dirname(join(folder, path)), { recursive: true });
  await writeFile(join(folder, path), content);
}

/** A model whose weights are said to be in these files, by their names. */
function modelOf(external: Readonly<Record<string, string>>): Promise<void> {
  const inputs = [{ name: 'x', type: 1, shape: [null, 4] }];
  const outputs = [{ name: 'y', type: 1, shape: [null, 3] }];
  return put('m/1/model.onnx', writeOnnx({ inputs, outputs, external }));
}

async function load() {
  const { models, problems } = await loadRepository(folder);
  return {
    digest: models[0]?.digest,
    problems: problems.map((problem) => problemText(problem).replace(`${folder}/`, '')),
  };
}

test('the digest changes with each of the files', async () => {
  await modelOf({ a: 'model.onnx.data', b: 'model.onnx.data', c: 'more/rest.bin' });
  await put('m/1/model.onnx.data', 'weights');
  await put('m/1/more/rest.bin', 'more');
  const first = await load();
  expect(first.problems).toEqual([]);
  expect(await load()).toEqual(first);
  await put('m/1/model.onnx.data', 'weighty');
  const second = await load();
  await put('m/1/more/rest.bin', 'less');
  const third = await load();
  expect(new Set([undefined, first.digest, second.digest, third.digest]).size).toBe(4);
});

test('a file that is missing is told, and one that is a folder', async () => {
  await modelOf({ a: 'model.onnx.data', b: 'more' });
  await mkdir(join(folder, 'm/1/more'));
  expect((await load()).problems).toEqual([
    'm/1/model.onnx.data: does not exist',
    'm/1/more: is not a regular file',
  ]);
});

test.each(['../2/model.onnx.data', '/weights.bin', '..'])(
  'a file outside of the folder of the version is refused: %s',
  async (file) => {
    await modelOf({ a: file });
    expect((await load()).problems).toEqual([
      `m/1/model.onnx: has weights in "${file}", which is not in its folder`,
    ]);
  },
);
