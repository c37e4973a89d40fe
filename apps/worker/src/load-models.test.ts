import { testManifest } from '@inferry/testkit';
import { createLogger } from '@inferry/telemetry';
import { expect, test } from 'vitest';
import { planModels } from './load-models.ts';

const logger = createLogger({ role: 'worker', level: 'silent' });

test('instances for certain GPUs are made by the workers of these alone', () => {
  const model = testManifest({
    instances: [
      { kind: 'cuda', count: 1 },
      { kind: 'cuda', count: 2, gpus: [1] },
    ],
  });
  const instancesOn = (index: number): number | undefined =>
    planModels([model], { kind: 'cuda', index }, logger)[0]?.devices.length;
  expect([instancesOn(0), instancesOn(1)]).toEqual([1, 3]);
  expect(planModels([model], { kind: 'cpu', index: 0 }, logger)).toEqual([]);
});
