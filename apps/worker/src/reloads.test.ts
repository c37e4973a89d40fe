/** What a worker holds after its models have changed many times. */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { classOf } from '@inferry/contracts';
import {
  createSimulatedBackend,
  type InferenceBackend,
  type ModelInstance,
} from '@inferry/inference';
import { VirtualClock } from '@inferry/runtime';
import { expect, test } from 'vitest';
import { echo } from './model-switch.fixture.ts';
import { advance, answerOf, fixtureOn } from './worker.fixture.ts';

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

test('fifty changes leave what one leaves: sessions, timers, and memory', async () => {
  const clock = new VirtualClock();
  const simulated = createSimulatedBackend({ clock, abort: () => undefined });
  let open = 0;
  const instances: WeakRef<ModelInstance>[] = [];
  const backend: InferenceBackend = {
    async load(...args) {
      const loaded = await simulated.load(...args);
      if (!loaded.ok) return loaded;
      open += 1;
      const session = loaded.value;
      const { device, loadMs, preparer, provider, warmupRuns } = session;
      const counted: ModelInstance = {
        device,
        loadMs,
        preparer,
        provider,
        warmupRuns,
        run: (items, outputs) => session.run(items, outputs),
        close: () => {
          open -= 1;
          return session.close();
        },
      };
      instances.push(new WeakRef(counted));
      return { ok: true, value: counted };
    },
  };
  const fixture = fixtureOn({
    clock,
    manifests: [echo('1')],
    limits: { leaseMs: 500 },
    deps: { backend },
  });
  await fixture.worker.start();
  const changeTo = async (round: number): Promise<void> => {
    // Another content of a version, and another version each time.
    const manifests = [echo('0', `content ${round}`), echo(String(round))];
    await fixture.worker.apply({ manifests, routing: {} });
    const id = await fixture.submit(round, { class: classOf('echo', String(round)) });
    const other = await fixture.submit(round, { class: classOf('echo', '0') });
    await advance(clock, 2_000);
    expect(answerOf(await fixture.record(id))).toBe(round);
    expect(answerOf(await fixture.record(other))).toBe(round);
    expect(open).toBe(2);
  };
  await changeTo(2);
  const timers = clock.pendingTimers;
  for (let round = 3; round <= 52; round += 1) await changeTo(round);
  expect(clock.pendingTimers).toBe(timers);
  const [own] = await fixture.queue.workers();
  expect(own?.models).toHaveLength(2);
  await new Promise((resolve) => setTimeout(resolve, 0));
  collectGarbage();
  const alive = instances.filter((instance) => instance.deref() !== undefined);
  expect(instances).toHaveLength(103);
  expect(alive.length).toBeLessThanOrEqual(4);
  await fixture.worker.close();
  expect([open, clock.pendingTimers]).toEqual([0, 0]);
});
