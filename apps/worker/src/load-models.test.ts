import { classOf } from '@inferry/contracts';
import { testManifest } from '@inferry/testkit';
import { expect, test } from 'vitest';
import { createSimulatedBackend } from '@inferry/inference';
import { ok, VirtualClock } from '@inferry/runtime';
import { loadModel, planModels } from './load-models.ts';
import { modelManifest, silent } from './worker.fixture.ts';

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

test.each([
  ['the second session', 2, false],
  ['the measurement of what preparing takes', 3, false],
  ['the second session, beside the others', 2, true],
])('where %s throws, nothing stays loaded and the reason is told', async (_, at, isAlone) => {
  const simulated = createSimulatedBackend({ clock: new VirtualClock(), abort: () => undefined });
  let steps = 0;
  let open = 0;
  const step = (): void => {
    steps += 1;
    if (steps === at) throw new Error('the thread died');
  };
  const device = { kind: 'cpu', index: 0 } as const;
  const model = planModels([{ ...modelManifest, instances: [{ kind: 'cpu', count: 2 }] }], device)
    .planned[0];
  if (model === undefined) throw new Error('it has instances');
  const loaded = await loadModel(
    model,
    {
      backend: {
        load: async (...args) => {
          step();
          const made = await simulated.load(...args);
          if (!made.ok) return made;
          open += 1;
          const { loadMs, preparer, provider, warmupRuns } = made.value;
          const close = async (): Promise<void> => void (open -= 1);
          const run = made.value.run.bind(made.value);
          return ok({ device, loadMs, preparer, provider, warmupRuns, run, close });
        },
      },
      device,
      telemetry: { modelLoadPhase: () => undefined, modelLoaded: () => undefined } as never,
      logger: silent,
      preparationOf: () => null,
      prepareMsOf: async () => {
        step();
        return [];
      },
    },
    { isAlone },
  );
  expect(loaded).toEqual({ ok: false, error: 'the thread died' });
  expect(open).toBe(0);
});
