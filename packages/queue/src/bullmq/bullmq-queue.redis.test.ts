import { randomBytes } from 'node:crypto';
import type { ClassId, JobId } from '@inferry/contracts';
import { sleep, systemClock } from '@inferry/runtime';
import { type RedisServer, startRedisServer, waitFor } from '@inferry/testkit';
import { afterAll, beforeAll } from 'vitest';
import { describeJobQueue, type Subject } from '../job-queue.contract.ts';
import type { JobQueue } from '../port.ts';
import { createBullmqQueue } from './bullmq-queue.ts';

let redis: RedisServer;
beforeAll(async () => {
  redis = await startRedisServer();
});
afterAll(async () => {
  await redis[Symbol.asyncDispose]();
});

const leaseMs = 300;

describeJobQueue('bullmq', async (): Promise<Subject> => {
  const prefix = `t${randomBytes(4).toString('hex')}`;
  const open = (processId: string): JobQueue =>
    createBullmqQueue({
      url: redis.url,
      prefix,
      clock: systemClock,
      processId,
      leaseMs,
      sweepMs: 1,
      resultBytesPerClassMax: 61_000,
    });
  const queue = open('p1');
  const other = open('p2');
  for (const each of [queue, other]) {
    await waitFor(async () => (await each.ping()) !== undefined, { timeoutMs: 5_000 });
  }
  return {
    queue,
    other,
    lapse: async (cls: ClassId) => {
      const returned: JobId[] = [];
      const failed: JobId[] = [];
      await waitFor(
        async () => {
          const report = await queue.sweep(cls);
          returned.push(...report.returned);
          failed.push(...report.failed);
          return returned.length + failed.length > 0;
        },
        { timeoutMs: 10_000 },
      );
      return { returned, failed };
    },
    pass: (ms: number) => sleep(systemClock, ms),
    close: async () => {
      await queue.close();
      await other.close();
    },
  };
});
