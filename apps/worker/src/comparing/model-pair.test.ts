/** Digits beside itself, and beside digits with its weights disturbed. */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { JobInput, ModelManifest } from '@inferry/contracts';
import { createBackend } from '@inferry/inference';
import { loadRepository } from '@inferry/models';
import { invariant, type Result, systemClock } from '@inferry/runtime';
import { repositoryPath } from '@inferry/testkit';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { ModelPair, prepareAll } from './model-pair.ts';

let digits: ModelManifest;
let seven: JobInput;
let folder: string;

beforeAll(async () => {
  const { models } = await loadRepository(repositoryPath('models'));
  const found = models.find(({ name }) => name === 'digits');
  invariant(found !== undefined, 'the repository has digits');
  digits = found;
  const image = await readFile(repositoryPath('models/digits/samples/seven.png'));
  seven = { form: 'pipeline', rows: [{ image: new Uint8Array(image) }] };
  folder = await mkdtemp(join(tmpdir(), 'inferry-pair-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

function openPair(variant: ModelManifest): Promise<Result<ModelPair, string>> {
  const backend = createBackend({ clock: systemClock, abort: () => process.abort() });
  return ModelPair.open({ backend, original: digits, variant });
}

test('a model answers like itself, and both are timed in turn', async () => {
  const pair = await openPair(digits);
  invariant(pair.ok, 'digits loads');
  const answer = await pair.value.answer(seven);
  const timings = await pair.value.time(seven, 4, ({ length }) => length >= 3);
  await pair.value.close();
  invariant(answer.ok && timings.ok, 'digits runs');
  expect(answer.value.differences).toMatchObject([{ name: 'logits', count: 10, maxAbs: 0 }]);
  expect(answer.value.original).toMatchObject({ rows: [{ label: '7' }] });
  expect(answer.value.variant).toEqual(answer.value.original);
  expect(timings.value).toHaveLength(3);
  for (const { originalMs, variantMs } of timings.value) {
    expect(originalMs).toBeGreaterThan(0);
    expect(variantMs).toBeGreaterThan(0);
  }
});

test('a disturbed model is found to differ', async () => {
  const file = join(folder, 'model.onnx');
  const bytes = await readFile(digits.file ?? '');
  // The sign bit of one weight in the middle of the file, which is the largest tensor.
  const at = (bytes.length >> 3) * 4 + 3;
  bytes[at] = (bytes[at] ?? 0) ^ 0x80;
  await writeFile(file, bytes);
  const pair = await openPair({ ...digits, file });
  invariant(pair.ok, 'a sign is not looked at when a model is loaded');
  const answer = await pair.value.answer(seven);
  await pair.value.close();
  invariant(answer.ok, 'digits runs');
  expect(answer.value.differences[0]?.maxAbs).toBeGreaterThan(0);
});

test('a variant that cannot be loaded is told from an original that cannot', async () => {
  const missing = { ...digits, file: '/nonexistent/model.onnx' };
  expect(await openPair(missing)).toMatchObject({
    ok: false,
    error: expect.stringMatching(/^the variant: /u),
  });
});

test('inputs are prepared as the model gets them; one that is refused is named', async () => {
  const tensors = await prepareAll(digits, [seven, seven]);
  expect(tensors).toMatchObject({ ok: true, value: [[{ shape: [1, 1, 32, 32] }], [{}]] });
  const wrong: JobInput = { form: 'pipeline', rows: [{ image: Uint8Array.of(1) }] };
  expect(await prepareAll(digits, [seven, wrong])).toMatchObject({
    ok: false,
    error: expect.stringMatching(/^input 1: /u),
  });
});
