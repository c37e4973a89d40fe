import { classOf } from '@inferry/contracts';
import { testManifest } from '@inferry/testkit';
import { expect, test } from 'vitest';
import { planModels } from './load-models.ts';

test('instances for certain GPUs are made by the workers of these alone', () => {
  const model = testManifest({
    instances: [
      { kind: 'cuda', count: 1 },
      { kind: 'cuda', count: 2, gpus: [1] },
    ],
  });
  const instancesOn = (index: number): number | undefined =>
    planModels([model], { kind: 'cuda', index }).planned[0]?.devices.length;
  expect([instancesOn(0), instancesOn(1)]).toEqual([1, 3]);
  expect(planModels([model], { kind: 'cpu', index: 0 })).toEqual({
    planned: [],
    skipped: [classOf(model.name, model.version)],
  });
});
