/** What a worker adds to the statistics of its classes. */
import { classOf } from '@inferry/contracts';
import { runsByRows } from '@inferry/queue';
import { expect, test } from 'vitest';
import { advance, replacing, virtualFixture } from './worker.fixture.ts';

const echo = classOf('echo', '1');

async function started(...args: Parameters<typeof virtualFixture>) {
  const fixture = virtualFixture(...args);
  expect(await fixture.worker.start()).toMatchObject({ ok: true });
  return fixture;
}

test('runs, jobs and where their time went are there a second later', async () => {
  const fixture = virtualFixture();
  const first = await fixture.submit(1);
  for (const value of [null, 3]) await fixture.submit(value);
  await fixture.worker.start();
  await advance(fixture.clock, 50);
  expect(await fixture.queue.statistics([echo])).toEqual([{ counters: {}, lastAtMs: 0 }]);
  await advance(fixture.clock, 1_000);
  const [told] = await fixture.queue.statistics([echo]);
  expect(told?.counters).toMatchObject({ runs: 1, succeeded: 2, rows: 2, otherJobs: 1 });
  const { inferUs = 0, inputUs = 0, outputUs = 0, queueUs = 0, wholeUs = 0 } = told?.counters ?? {};
  // Each job with the time of its batch; the run once.
  expect(inferUs).toBeGreaterThanOrEqual(2 * 20_000);
  expect(runsByRows(told?.counters ?? {})).toMatchObject([{ rows: 2, runs: 1, inferUs: 20_000 }]);
  const admissionUs = 2 * (await fixture.record(first)).job.admissionMs * 1_000;
  expect(inferUs + inputUs + outputUs + queueUs + admissionUs).toBeCloseTo(wholeUs, -1);
  expect(told?.lastAtMs).toBeLessThanOrEqual(fixture.clock.nowMs() - 1_000);
  expect(told?.lastAtMs).toBeGreaterThan(0);
  await fixture.worker.close();
});

test('a job that fails in its run, and runs of a batch that was divided', async () => {
  const fixture = await started();
  for (const value of [1, 2, 666, 4]) await fixture.submit(value);
  await advance(fixture.clock, 200);
  await fixture.worker.close();
  const [told] = await fixture.queue.statistics([echo]);
  expect(told?.counters).toMatchObject({ succeeded: 3, rows: 3, backendJobs: 1 });
  expect(told?.counters.backendUs).toBeGreaterThan(20_000);
  const runs = runsByRows(told?.counters ?? {});
  expect(runs.reduce((sum, one) => sum + one.rows * one.runs, 0)).toBe(3);
});

test('what a worker counted while the queue was away is not lost when it drains', async () => {
  let isAway = true;
  const fixture = await started({
    wrapQueue: (queue) =>
      replacing(queue, {
        addStatistics: (cls, more) =>
          isAway ? Promise.reject(new Error('away')) : queue.addStatistics(cls, more),
      }),
  });
  await fixture.submit(1);
  await advance(fixture.clock, 1_500);
  isAway = false;
  await fixture.worker.close();
  expect(await fixture.queue.statistics([echo])).toMatchObject([{ counters: { succeeded: 1 } }]);
});
