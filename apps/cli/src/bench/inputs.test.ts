import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { readInputs } from './inputs.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'inferry-inputs-'));
  await mkdir(join(folder, 'inner.png'));
  await writeFile(join(folder, 'b.JPG'), 'picture');
  await writeFile(join(folder, 'a.json'), '{"x": 1}');
  await writeFile(join(folder, 'broken.txt'), 'not for models');
});
afterEach(() => rm(folder, { recursive: true }));

async function problem(...paths: readonly string[]): Promise<string> {
  const inputs = await readInputs(paths);
  return inputs.ok ? 'none' : inputs.error;
}

test('files come in the order given, those of a folder by name, with the types of their endings', async () => {
  const inputs = await readInputs([join(folder, 'b.JPG'), folder]);
  if (!inputs.ok) throw new Error(inputs.error);
  expect(
    inputs.value.map(({ name, mediaType, bytes }) => [
      name.slice(folder.length + 1),
      mediaType,
      Buffer.from(bytes).toString(),
    ]),
  ).toEqual([
    ['b.JPG', 'image/jpeg', 'picture'],
    ['a.json', 'application/json', '{"x": 1}'],
    ['b.JPG', 'image/jpeg', 'picture'],
  ]);
});

test('what cannot be sent is named', async () => {
  expect(await problem(join(folder, 'broken.txt'))).toMatch(/broken\.txt: must end with one of/u);
  expect(await problem(join(folder, 'none.json'))).toMatch(/none\.json: does not exist/u);
  expect(await problem(join(folder, 'inner.png'))).toMatch(/inner\.png: no file in it/u);
  await writeFile(join(folder, 'c.json'), '{"x": ');
  expect(await problem(folder)).toMatch(/c\.json: is no JSON/u);
});

test('there is a bound on files', async () => {
  const path = join(folder, 'a.json');
  expect(await problem(...Array.from({ length: 1_001 }, () => path))).toContain('more than 1000');
});
