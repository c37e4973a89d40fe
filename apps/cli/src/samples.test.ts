import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { ModelManifest } from '@inferry/contracts';
import { repositoryPath } from '@inferry/testkit';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { findModel } from './find-model.ts';
import { readSamples } from './samples.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'inferry-samples-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

async function model(name: string): Promise<ModelManifest> {
  const found = await findModel(repositoryPath('models'), name, null);
  if (!found.ok) throw new Error(found.error);
  return found.value;
}

async function put(name: string, content: unknown): Promise<string> {
  const file = join(folder, name);
  await mkdir(dirname(file), { recursive: true });
  await writeFile(file, content instanceof Uint8Array ? content : JSON.stringify(content));
  return file;
}

test('images in folders of a folder have the names of those as labels', async () => {
  await put('7/a.jpg', Uint8Array.of(2));
  await put('1/c.png', Uint8Array.of(3));
  const samples = await readSamples([folder], await model('digits'), '--samples');
  if (!samples.ok) throw new Error(samples.error);
  expect(samples.value.map(({ label, name }) => [label, name])).toEqual([
    ['1', join(folder, '1/c.png')],
    ['7', join(folder, '7/a.jpg')],
  ]);
  expect(samples.value[1]?.row).toEqual({ image: Buffer.from([2]) });
});

test('a JSON file holds a row or a list of them; each may bring its label', async () => {
  const row = { sepal_length: 1, sepal_width: 2, petal_length: 3, petal_width: 4 };
  const one = await put('one.json', row);
  const list = await put('list.json', [{ input: row, label: 'setosa' }, { input: row }, row]);
  const samples = await readSamples([one, list], await model('iris'), '--samples');
  expect(samples).toEqual({
    ok: true,
    value: [
      { name: one, label: null, row },
      { name: `${list} row 0`, label: 'setosa', row },
      { name: `${list} row 1`, label: null, row },
      { name: `${list} row 2`, label: null, row },
    ],
  });
});

test.each([
  ['iris', 'x.json', [1], /x\.json: row 0 must be a JSON object/u],
  ['iris', 'x.png', Uint8Array.of(1), /x\.png: the model takes rows of JSON/u],
  ['digits', 'x.json', {}, /x\.json: the model takes images/u],
  ['iris', 'x.json', [], /--samples: there is no sample/u],
  [
    'iris',
    'x.json',
    { input: {}, label: 'rose' },
    /"rose" is none of the model's 3 labels \(setosa/u,
  ],
])('%s from %s: %j is refused', async (name, file, content, words) => {
  const samples = await readSamples([await put(file, content)], await model(name), '--samples');
  expect(samples).toMatchObject({ ok: false, error: expect.stringMatching(words) });
});

test('a file beside folders of labels is an error, and not passed over', async () => {
  await put('7/a.jpg', Uint8Array.of(2));
  await put('notes.txt', {});
  expect(await readSamples([folder], await model('digits'), '--samples')).toMatchObject({
    ok: true,
  });
  await put('b.png', Uint8Array.of(2));
  expect(await readSamples([folder], await model('digits'), '--samples')).toMatchObject({
    ok: false,
    error: `--samples ${folder}: "b.png" lies beside folders, whose names are labels; move it into one`,
  });
});

test('a model without a pipeline takes no files', async () => {
  const digits: ModelManifest = { ...(await model('digits')), preprocess: { kind: 'none' } };
  expect(await readSamples([folder], digits, '--samples')).toMatchObject({
    ok: false,
    error: expect.stringContaining('digits has no preprocess section'),
  });
});
