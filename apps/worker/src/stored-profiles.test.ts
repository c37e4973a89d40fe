/** What a worker learned of run times is there for the next one. */
import { classOf, type ModelManifest } from '@inferry/contracts';
import { createMemoryQueue, type JobQueue } from '@inferry/queue';
import { VirtualClock } from '@inferry/runtime';
import { queueRules } from '@inferry/scheduling';
import { expect, test } from 'vitest';
import type { WorkerDeps } from './deps.ts';
import { advance, fixtureOn, modelManifest, replacing, silent } from './worker.fixture.ts';

const model: ModelManifest = {
  ...modelManifest,
  maxBatchSize: 8,
  latencyTargetMs: 142,
  simulated: { runMs: 20, rowMs: 10, failOn: null, hangOn: null, crashOn: null },
};

function memory() {
  const clock = new VirtualClock();
  return { clock, queue: createMemoryQueue({ clock, rules: queueRules }) };
}

function workerOn(
  { clock, queue }: ReturnType<typeof memory>,
  manifest: ModelManifest,
  deps: Partial<WorkerDeps> = {},
  wrapQueue: (queue: JobQueue) => JobQueue = (same) => same,
) {
  const lines: string[] = [];
  const logger = { ...silent, info: (_: object, text = '') => void lines.push(text) };
  const manifests = [manifest];
  const fixture = fixtureOn({ clock, queue, manifests, wrapQueue, deps: { logger, ...deps } });
  const limits = () =>
    fixture.events.filter(({ name }) => name === 'batchLimited').map(({ args }) => args[1]);
  const origin = () => lines.find((line) => line.startsWith('the size of batches begins'));
  return { fixture, limits, origin };
}

/** A worker that measured its runs while it warmed up has come and gone. */
async function teach(shared: ReturnType<typeof memory>): Promise<void> {
  const { fixture, limits, origin } = workerOn(shared, { ...model, warmupRows: [1, 8] });
  await fixture.worker.start();
  expect(limits()).toEqual([5]);
  expect(origin()).toContain('from the warm-up');
  await fixture.worker.close();
}

test('a worker begins where another on such a device ended', async () => {
  const shared = memory();
  await teach(shared);
  const next = workerOn(shared, model);
  await next.fixture.worker.start();
  expect(next.limits()).toEqual([5]);
  expect(next.origin()).toContain('a stored profile');
  await next.fixture.worker.close();
});

test.each<[string, ModelManifest, Partial<WorkerDeps>]>([
  ['another device', model, { hardware: 'another machine' }],
  ['another model', { ...model, digest: 'another' }, {}],
  ['another number of threads', { ...model, session: { ...model.session, intraOpThreads: 4 } }, {}],
])('%s learns anew', async (_, manifest, deps) => {
  const shared = memory();
  await teach(shared);
  const next = workerOn(shared, manifest, deps);
  await next.fixture.worker.start();
  expect(next.limits()).toEqual([8]);
  expect(next.origin()).toContain('from the warm-up');
  await next.fixture.worker.close();
});

test('warm-up runs that contradict what is stored win', async () => {
  const shared = memory();
  await teach(shared);
  const simulated = { runMs: 60, rowMs: 30, failOn: null, hangOn: null, crashOn: null };
  const next = workerOn(shared, { ...model, simulated, warmupRows: [1, 8] });
  await next.fixture.worker.start();
  // 2 * 90 ms for one row: the target cannot be kept.
  expect(next.fixture.worker.isReady).toBe(true);
  expect(next.limits()).toEqual([8]);
  await next.fixture.worker.close();
});

test('what changed is saved every half minute', async () => {
  const shared = memory();
  const saved: string[] = [];
  const { fixture } = workerOn(shared, { ...model, warmupRows: [1, 8] }, {}, (queue) =>
    replacing(queue, {
      saveProfile: (key, text) => {
        saved.push(text);
        return queue.saveProfile(key, text);
      },
    }),
  );
  await fixture.worker.start();
  await advance(fixture.clock, 30_001);
  expect(saved).toHaveLength(1);
  await advance(fixture.clock, 30_001);
  expect(saved).toHaveLength(1);
  // The first run of a device that was idle teaches nothing, the second does.
  for (let i = 0; i < 2; i += 1) {
    await fixture.submit(1, { class: classOf('echo', '1') });
    await advance(fixture.clock, 100);
  }
  await fixture.worker.close();
  expect(saved).toHaveLength(2);
});

test.each<[string, JobQueue['loadProfile']]>([
  ['does not answer', () => new Promise(() => undefined)],
  ['is away', () => Promise.reject(new Error('away'))],
  ['has something else there', () => Promise.resolve('{"sizes":[{"rows":-1}]}')],
])('a queue that %s keeps no worker from starting', async (_, loadProfile) => {
  const shared = memory();
  const manifest = { ...model, warmupRows: [1, 8] };
  const next = workerOn(shared, manifest, {}, (queue) => replacing(queue, { loadProfile }));
  const start = { isOver: false };
  const started = next.fixture.worker.start().finally(() => (start.isOver = true));
  // Some of a start is not on the clock of the test, such as opening the decoder of images.
  while (!start.isOver) await advance(shared.clock, 100);
  expect((await started).ok).toBe(true);
  expect(next.limits()).toEqual([5]);
  await next.fixture.worker.close();
});
