import type { ClassId } from '@inferry/contracts';
import { VirtualClock } from '@inferry/runtime';
import { describeJobQueue, type Subject } from '../job-queue.contract.ts';
import { createMemoryQueue } from './memory-queue.ts';

describeJobQueue('memory', (): Promise<Subject> => {
  const clock = new VirtualClock();
  const queue = createMemoryQueue({ clock, leaseMs: 5_000, resultBytesPerClassMax: 61_000 });
  return Promise.resolve({
    queue,
    other: queue,
    lapse: async (cls: ClassId) => {
      await clock.advance(5_001);
      return queue.sweep(cls);
    },
    pass: (ms: number) => clock.advance(ms),
    close: () => queue.close(),
  });
});
