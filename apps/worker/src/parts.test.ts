/** The small parts of the worker: its states, its view of the queue's clock, its leases. */
import { classOf } from '@inferry/contracts';
import { VirtualClock } from '@inferry/runtime';
import { describe, expect, test } from 'vitest';
import { Lifecycle } from './lifecycle.ts';
import { QueueClock } from './queue-clock.ts';
import { untilDone } from './retry.ts';
import { advance, claimByOther, modelManifest, virtualFixture } from './worker.fixture.ts';

describe('Lifecycle', () => {
  test('there is no way back', () => {
    const entered: string[] = [];
    const lifecycle = new Lifecycle((state) => entered.push(state));
    for (const state of ['warming', 'serving', 'draining', 'stopped'] as const) {
      lifecycle.enter(state);
    }
    expect(entered).toEqual(['warming', 'serving', 'draining', 'stopped']);
    expect(() => lifecycle.enter('serving')).toThrow('no way leads from stopped to serving');
  });
});

describe('QueueClock', () => {
  test('the sample with the shortest round trip counts, for half a minute', async () => {
    const clock = new VirtualClock(1_000);
    const queueClock = new QueueClock(clock);
    await clock.advance(100);
    queueClock.sample(1_000, 6_070);
    expect(queueClock.offsetMs).toBe(5_020);
    await clock.advance(10);
    queueClock.sample(1_100, 6_105);
    expect(queueClock.offsetMs).toBe(5_000);
    await clock.advance(90);
    queueClock.sample(1_110, 7_000);
    expect(queueClock.offsetMs).toBe(5_000);
    expect(queueClock.toLocalMs(6_200)).toBe(1_200);
    expect(queueClock.toQueueMs(1_200)).toBe(6_200);
    await clock.advance(31_000);
    queueClock.sample(32_000, 37_150);
    expect(queueClock.offsetMs).toBe(5_050);
  });
});

describe('untilDone', () => {
  test('pauses double from 250 ms to 2 s', async () => {
    const clock = new VirtualClock(0);
    const calledAtMs: number[] = [];
    const attempt = (): Promise<void> => {
      calledAtMs.push(clock.nowMs());
      return calledAtMs.length < 6 ? Promise.reject(new Error('away')) : Promise.resolve();
    };
    const done = untilDone(clock, new AbortController().signal, attempt, () => undefined);
    await advance(clock, 6_000);
    expect(await done).toBe(true);
    expect(calledAtMs).toEqual([0, 250, 750, 1_750, 3_750, 5_750]);
  });

  test('it gives up at once when halted, after one attempt', async () => {
    const halted = AbortSignal.abort();
    const failures: number[] = [];
    const isDone = await untilDone(
      new VirtualClock(),
      halted,
      () => Promise.reject(new Error('away')),
      (_, count) => failures.push(count),
    );
    expect([isDone, failures]).toEqual([false, [1]]);
  });
});

describe('leases', () => {
  test('a run longer than a lease keeps its job', async () => {
    const slow = { runMs: 12_000, rowMs: 0, failOn: null, hangOn: null, crashOn: null };
    const fixture = virtualFixture({ manifests: [{ ...modelManifest, simulated: slow }] });
    const id = await fixture.submit(1, { executionTimeoutMs: 30_000 });
    await fixture.worker.start();
    await advance(fixture.clock, 12_100);
    const record = await fixture.record(id);
    expect([record.status, record.attempt]).toEqual(['succeeded', 1]);
    await fixture.worker.close();
  });

  test('the jobs of a dead worker are returned by the sweep and served next, alone', async () => {
    const fixture = virtualFixture();
    const id = await fixture.submit(1);
    await fixture.queue.claim(classOf('echo', '1'), claimByOther);
    await fixture.worker.start();
    await advance(fixture.clock, 8_000);
    const record = await fixture.record(id);
    expect([record.status, record.attempt]).toEqual(['succeeded', 2]);
    expect(fixture.events).toContainEqual({ name: 'jobsStalled', args: ['echo', 1] });
    await fixture.worker.close();
  });
});
