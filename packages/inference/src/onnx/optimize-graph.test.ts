import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { repositoryPath } from '@inferry/testkit';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { optimizeGraph } from './optimize-graph.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'inferry-graph-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const digits = repositoryPath('models/digits/1/model.onnx');

test('extended optimisation fuses operators into ones of ONNX Runtime; basic leaves the standard ones', async () => {
  for (const level of ['basic', 'extended'] as const) {
    const out = join(folder, `${level}.onnx`);
    expect(await optimizeGraph(digits, out, level)).toEqual({ ok: true, value: undefined });
    const text = (await readFile(out)).toString('latin1');
    expect(text.includes('FusedConv')).toBe(level === 'extended');
  }
});

test('a file that is no model, and a place that cannot be written, are errors in words', async () => {
  const yaml = repositoryPath('models/digits/model.yaml');
  const wrong = await optimizeGraph(yaml, join(folder, 'x.onnx'), 'basic');
  expect(wrong).toMatchObject({ ok: false, error: expect.stringMatching(/protobuf|parsing/iu) });
  const nowhere = await optimizeGraph(digits, join(folder, 'missing', 'x.onnx'), 'basic');
  expect(nowhere.ok).toBe(false);
});
