import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { InstanceGroup, ModelManifest } from '@inferry/contracts';
import { repositoryPath } from '@inferry/testkit';
import { expect, onTestFinished, test } from 'vitest';
import { isServable, readModels, unservable } from './models.ts';

const cpu = { kind: 'cpu', index: 0 } as const;
const first = { kind: 'cuda', index: 0 } as const;
const second = { kind: 'cuda', index: 1 } as const;

function model(...instances: readonly InstanceGroup[]): ModelManifest {
  return { name: 'm', version: '1', instances } as unknown as ModelManifest;
}

test('a model belongs to the devices that its instances name', () => {
  const served = (...instances: readonly InstanceGroup[]) =>
    [cpu, first, second].map((device) => isServable(model(...instances), device));
  expect(served({ kind: 'cpu', count: 1 })).toEqual([true, false, false]);
  expect(served({ kind: 'cuda', count: 1 })).toEqual([false, true, true]);
  expect(served({ kind: 'tensorrt', count: 1, gpus: [1] })).toEqual([false, false, true]);
  expect(served({ kind: 'cuda', count: 1, gpus: [0] }, { kind: 'cpu', count: 1 })).toEqual([
    true,
    true,
    false,
  ]);
});

test('a model that is composed of others belongs to every device', () => {
  const ensemble = { ...model(), backend: 'ensemble' } as const;
  expect([cpu, first].map((device) => isServable(ensemble, device))).toEqual([true, true]);
  expect(unservable([ensemble], second)).toEqual([]);
});

test('where nobody could serve a model, it is told which devices could', () => {
  expect(unservable([model({ kind: 'cuda', count: 1, gpus: [0, 2] })], second)).toEqual([
    'm@1 has instances for cuda:0, cuda:2 only, and this process runs on cuda:1',
  ]);
  expect(unservable([model({ kind: 'cuda', count: 1 })], cpu)).toEqual([
    'm@1 has instances for cuda only, and this process runs on cpu',
  ]);
  expect(unservable([model({ kind: 'cuda', count: 1 })], first)).toEqual([]);
});

test('where nobody could serve what a model runs, it is told what is left out', () => {
  const step = { version: null, inputs: {}, outputs: {} };
  const steps = ['m', 'n', 'n'].map((name) => ({ ...step, model: name }));
  const ensemble = { ...model(), name: 'e', backend: 'ensemble', ensemble: { steps } } as const;
  const m = model({ kind: 'cpu', count: 1 });
  expect(unservable([ensemble, m], cpu)).toEqual(['e@1 runs "n", which INFERRY_ONLY leaves out']);
  expect(unservable([ensemble, m, { ...m, name: 'n' }], cpu)).toEqual([]);
});

const onnx = repositoryPath('packages/testkit/fixtures/models/identity_fp32/1/model.onnx');

/** A repository with these versions of a model m; those that begin with `!` cannot be read. */
function repository(...versions: readonly string[]): string {
  const folder = mkdtempSync(join(tmpdir(), 'inferry-start-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  for (const version of versions) {
    const own = join(folder, 'm', version.replace('!', ''));
    mkdirSync(own, { recursive: true });
    cpSync(onnx, join(own, 'model.onnx'));
    if (version.startsWith('!')) writeFileSync(join(own, 'model.onnx'), 'no model');
  }
  return folder;
}

test('a version that cannot be read beside a sound one stops no start', async () => {
  const read = await readModels({ modelsDir: repository('1', '!2'), only: null });
  expect(read).toMatchObject({ ok: true, value: { models: [{ version: '1' }] } });
  expect(read.ok && read.value.problems.map(({ version }) => version)).toEqual(['2']);
});

test('a model of which nothing can be read, or that says something wrong, stops the start', async () => {
  const broken = await readModels({ modelsDir: repository('!1', '!2'), only: null });
  expect(broken).toMatchObject({
    ok: false,
    error: [/1.model\.onnx/u, /2.model\.onnx/u].map(like),
  });
  const modelsDir = repository('1', '2');
  writeFileSync(join(modelsDir, 'm/model.yaml'), 'no_such_key: 1\n');
  const wrong = await readModels({ modelsDir, only: null });
  expect(wrong).toMatchObject({ ok: false, error: [like(/no_such_key/u)] });
});

function like(pattern: RegExp): unknown {
  return expect.stringMatching(pattern);
}
