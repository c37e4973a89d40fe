import type { ClassId, ServedModel, WorkerAnnouncement } from '@inferry/contracts';
import type { ClassStats } from '@inferry/queue';
import { VirtualClock } from '@inferry/runtime';
import type { LogFields, Logger } from '@inferry/telemetry';
import { expect, test } from 'vitest';
import type { StopSignal } from '../supervisor.ts';
import { Autoscaler } from './autoscaler.ts';
import type { AutoscaleOptions } from './options.ts';

const slow = 'slow@1' as ClassId;

/** A queue whose rows cost a second each, and workers that do as they are told. */
async function fixture(given: Partial<AutoscaleOptions['policy']> = {}) {
  const clock = new VirtualClock();
  const lines: (LogFields & { readonly message: string })[] = [];
  const log = (fields: LogFields, message: string): void => void lines.push({ ...fields, message });
  const silent = (): void => undefined;
  const logger: Logger = {
    trace: silent,
    debug: silent,
    info: log,
    warn: log,
    error: log,
    fatal: log,
    child: () => logger,
  };
  const queue = {
    waiting: 0,
    arrived: 0,
    isAway: false,
    of: slow,
    looked: [] as readonly ClassId[],
    announced: [] as readonly WorkerAnnouncement[],
  };
  const stats = (classes: readonly ClassId[]): Promise<readonly ClassStats[]> => {
    if (queue.isAway) return Promise.reject(new Error('no Redis'));
    queue.looked = classes;
    const told = classes.map((cls) => {
      const waiting = cls === queue.of ? queue.waiting : 0;
      const rows = { waitingRows: waiting, arrivedRows: queue.arrived, rowWorkMs: 1_000 };
      return { class: cls, waiting, active: 0, ...rows } as ClassStats;
    });
    return Promise.resolve(told);
  };
  const workers: {
    readonly signals: StopSignal[];
    readonly ready: () => void;
    readonly end: (code: number) => Promise<void>;
  }[] = [];
  const options: Omit<AutoscaleOptions, 'worker'> = {
    policy: { min: 0, max: 4, drainTargetSeconds: 30, utilization: 0.7, ...given },
    windowMs: 10_000,
    stabilizationMs: 5_000,
    cooldownMs: 20_000,
  };
  const autoscaler = new Autoscaler(
    options,
    {
      clock,
      logger,
      queue: { stats, workers: () => Promise.resolve(queue.announced) },
      startWorker: (ready) => {
        let end: (code: number) => void = silent;
        const ended = new Promise<number>((resolve) => (end = resolve));
        const signals: StopSignal[] = [];
        workers.push({
          signals,
          ready,
          end: async (code) => {
            end(code);
            await clock.advance(0);
          },
        });
        return { stop: (signal) => void signals.push(signal), reread: silent, ended };
      },
    },
    [slow],
  );
  const code = autoscaler.run();
  await clock.advance(0);
  const drained = (): number => workers.filter(({ signals }) => signals.length > 0).length;
  return { autoscaler, clock, code, drained, lines, queue, workers };
}

test('the fewest workers are started before anything is known of the queue', async () => {
  const { workers } = await fixture({ min: 2 });
  expect(workers.length).toBe(2);
});

test('a job that waits wakes a worker within a second, and each step is told with its numbers', async () => {
  const { clock, lines, queue, workers } = await fixture();
  queue.waiting = 1;
  await clock.advance(1_000);
  expect(workers.length).toBe(1);
  queue.waiting = 100;
  await clock.advance(1_000);
  expect(workers.length).toBe(3);
  expect(lines.at(-1)).toEqual({
    message: 'starting workers',
    workers: 1,
    draining: 0,
    target: 3,
    cause: 'step',
    wanted: 4,
    reason: 'backlog',
    backlog_s: 100,
    load: 0,
    for_backlog: 4,
    for_load: 0,
  });
});

test('what waits for a new version wakes a worker, and what waits for an old one until it is gone', async () => {
  const { autoscaler, clock, queue, workers } = await fixture();
  const next = 'slow@2' as ClassId;
  queue.waiting = 1;
  autoscaler.serve([next]);
  await clock.advance(2_000);
  expect([queue.looked, workers.length]).toEqual([[slow, next], 1]);
  queue.of = next;
  queue.waiting = 60;
  await clock.advance(2_000);
  expect([queue.looked, workers.length]).toEqual([[next], 2]);
});

test('a version that workers have kept, as the one of the repository is broken, wakes workers too', async () => {
  const { autoscaler, clock, queue, workers } = await fixture();
  const announced = (name: string, version: string, state: ServedModel['state']): ServedModel =>
    ({ manifest: { name, version }, state }) as ServedModel;
  queue.announced = [
    {
      models: [
        announced('slow', '1', 'ready'),
        announced('slow', '2', 'failed'),
        announced('slow', '0', 'retiring'),
        announced('other', '1', 'ready'),
      ],
    } as unknown as WorkerAnnouncement,
  ];
  autoscaler.serve(['slow@2' as ClassId]);
  await clock.advance(2_000);
  queue.waiting = 60;
  await clock.advance(2_000);
  expect([queue.looked.toSorted(), workers.length]).toEqual([[slow, 'slow@2'], 2]);
});

test('while the queue is away the number stays, which is told once', async () => {
  const { clock, drained, lines, queue, workers } = await fixture();
  queue.waiting = 60;
  await clock.advance(3_000);
  expect(workers.length).toBe(2);
  queue.isAway = true;
  await clock.advance(600_000);
  expect([workers.length, drained()]).toEqual([2, 0]);
  expect(lines.filter(({ message }) => message.includes('does not tell')).length).toBe(1);
  queue.isAway = false;
  queue.waiting = 0;
  // A whole window of readings has to say so.
  await clock.advance(5_000);
  expect(drained()).toBe(0);
  await clock.advance(1_000);
  expect(drained()).toBe(1);
  await clock.advance(20_000);
  expect(drained()).toBe(2);
});

test('what drains counts towards the most', async () => {
  const { clock, drained, queue, workers } = await fixture();
  queue.waiting = 120;
  await clock.advance(2_000);
  expect(workers.length).toBe(4);
  queue.waiting = 30;
  await clock.advance(7_000);
  expect(drained()).toBe(3);
  queue.waiting = 120;
  await clock.advance(3_000);
  expect(workers.length).toBe(4);
  await workers[3]?.end(0);
  await clock.advance(1_000);
  expect(workers.length).toBe(5);
});

test('workers that cannot start as configured end the whole, where none ever could', async () => {
  const { code, lines, workers } = await fixture({ min: 2 });
  await workers[0]?.end(2);
  expect(workers[1]?.signals).toEqual(['SIGTERM']);
  await workers[1]?.end(0);
  expect(await code).toBe(2);
  expect(lines.map(({ message }) => message)).toContain('workers cannot start as configured');
});

test('where others could, the next is tried later, and later still', async () => {
  const { clock, lines, workers } = await fixture({ min: 2 });
  workers[0]?.ready();
  await workers[1]?.end(2);
  await clock.advance(4_000);
  expect(workers.length).toBe(2);
  await clock.advance(2_000);
  expect(workers.length).toBe(3);
  await workers[2]?.end(2);
  await clock.advance(9_000);
  expect(workers.length).toBe(3);
  await clock.advance(2_000);
  expect(workers.length).toBe(4);
  expect(lines.filter(({ message }) => message === 'starting workers').length).toBe(2);
});

test('a worker that somebody else drained is replaced', async () => {
  const { clock, workers } = await fixture({ min: 1 });
  await workers[0]?.end(0);
  await clock.advance(1_000);
  expect(workers.length).toBe(2);
});

test('a stop drains all, starts none, and ends when they have; not well where one has not', async () => {
  const { autoscaler, clock, code, queue, workers } = await fixture({ min: 2 });
  queue.waiting = 1_000;
  autoscaler.stop('SIGTERM');
  await clock.advance(10_000);
  expect(workers.map(({ signals }) => signals)).toEqual([['SIGTERM'], ['SIGTERM']]);
  autoscaler.stop('SIGTERM');
  expect(workers.map(({ signals }) => signals.length)).toEqual([2, 2]);
  await workers[0]?.end(0);
  await workers[1]?.end(137);
  expect(await code).toBe(1);
  expect(clock.pendingTimers).toBe(0);
});
