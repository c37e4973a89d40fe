import { type ClassId, classOf } from '@inferry/contracts';
import { VirtualClock } from '@inferry/runtime';
import { queueRules as rules } from '@inferry/scheduling';
import { expect, test } from 'vitest';
import { aJob, anyRows, describeJobQueue, roomy, type Subject } from '../job-queue.contract.ts';
import { createMemoryQueue } from './memory-queue.ts';

describeJobQueue('memory', (): Promise<Subject> => {
  const clock = new VirtualClock();
  const queue = createMemoryQueue({ clock, rules, leaseMs: 5_000, resultBytesPerClassMax: 61_000 });
  return Promise.resolve({
    queue,
    other: queue,
    lapse: async (cls: ClassId) => {
      await clock.advance(5_001);
      await queue.sweep(cls);
      await clock.advance(1_667);
      return queue.sweep(cls);
    },
    pass: (ms: number) => clock.advance(ms),
    close: () => queue.close(),
  });
});

test('a process that stood still for longer than a lease keeps its jobs when it sweeps before it renews', async () => {
  const clock = new VirtualClock();
  const queue = createMemoryQueue({ clock, rules, leaseMs: 5_000 });
  const cls = classOf('m', '1');
  await queue.enqueue(aJob(cls), new Uint8Array([1]), roomy);
  const { claims } = await queue.claim(cls, anyRows);
  await clock.advance(30_000);
  expect((await queue.sweep(cls)).returned).toEqual([]);
  expect(await queue.renew('w1', cls, claims)).toEqual([]);
  await clock.advance(4_000);
  expect((await queue.sweep(cls)).returned).toEqual([]);
  expect((await queue.stats([cls]))[0]).toMatchObject({ active: 1, waiting: 0 });
});
