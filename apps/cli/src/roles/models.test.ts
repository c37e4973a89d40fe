import type { InstanceGroup, ModelManifest } from '@inferry/contracts';
import { expect, test } from 'vitest';
import { isServable, unservable } from './models.ts';

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
