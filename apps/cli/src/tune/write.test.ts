import { cp, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TunedSettings } from '@inferry/models';
import { repositoryPath } from '@inferry/testkit';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { writeSettings } from './write.ts';

const settings: TunedSettings = {
  maxBatchSize: 4,
  latencyTargetMs: 30,
  instances: { kind: 'cpu', count: 2 },
  intraOpThreads: 1,
};
const digits = { name: 'digits', version: '1' };
let models: string;
let yaml: string;

beforeEach(async () => {
  models = await mkdtemp(join(tmpdir(), 'inferry-write-'));
  yaml = join(models, 'digits/model.yaml');
  for (const part of ['1', 'labels.txt', 'model.yaml']) {
    const from = repositoryPath(`models/digits/${part}`);
    await cp(from, join(models, 'digits', part), { recursive: true });
  }
});
afterEach(() => rm(models, { recursive: true, force: true }));

test('the manifest that comes back is that of the new file, with another digest', async () => {
  const first = await writeSettings(models, digits, settings);
  const second = await writeSettings(models, digits, { ...settings, maxBatchSize: 8 });
  if (!first.ok || !second.ok) throw new Error('it can be written');
  expect(first.value).toMatchObject({ file: yaml, manifest: { maxBatchSize: 4 } });
  expect(second.value.manifest.maxBatchSize).toBe(8);
  expect(second.value.manifest.digest).not.toBe(first.value.manifest.digest);
  expect(await readdir(join(models, 'digits'))).toEqual(['1', 'labels.txt', 'model.yaml']);
});

test('a model without a model.yaml gets one', async () => {
  await rm(yaml);
  const written = await writeSettings(models, digits, settings);
  expect(written).toMatchObject({ ok: true, value: { manifest: { latencyTargetMs: 30 } } });
});

test('settings that another key contradicts are not written, and the key is named', async () => {
  const text = `${await readFile(yaml, 'utf8')}warmup:\n  rows: [1, 32]\n`;
  await writeFile(yaml, text);
  expect(await writeSettings(models, digits, settings)).toMatchObject({
    ok: false,
    error: expect.stringMatching(/is as it was.*\n.*warmup\.rows\.1: is above the batch size, 4/u),
  });
  expect(await readFile(yaml, 'utf8')).toBe(text);
});

test('a folder that is not there is an error in words', async () => {
  const written = await writeSettings(models, { name: 'nosuch', version: '1' }, settings);
  expect(written).toMatchObject({ ok: false, error: expect.stringContaining('ENOENT') });
});
