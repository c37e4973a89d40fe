/** Statistics where processes of another version write to the same class. */
import { randomBytes } from 'node:crypto';
import { classOf } from '@inferry/contracts';
import { Emitter, systemClock } from '@inferry/runtime';
import { type RedisServer, startRedisServer, waitFor } from '@inferry/testkit';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { aJob, anyRows, roomy } from '../job-queue.contract.ts';
import type { JobQueue } from '../port.ts';
import { createBullmqQueue } from './bullmq-queue.ts';
import { waitingConnection } from './connection.ts';
import { type Scripts, scripts } from './script-runner.ts';

let redis: RedisServer;
beforeAll(async () => {
  redis = await startRedisServer();
});
afterAll(async () => {
  await redis[Symbol.asyncDispose]();
});

const cls = classOf('m', '1');
const profile = { rowsMax: 1, points: [{ rows: 1, ms: 40 }], tailFactor: 1, rowWorkMs: 40 };

async function open(prefix: string, others: Partial<Scripts> = {}): Promise<JobQueue> {
  const queue = createBullmqQueue({
    url: redis.url,
    prefix,
    clock: systemClock,
    processId: 'p1',
    scripts: others,
  });
  await waitFor(async () => (await queue.ping()) !== undefined, { timeoutMs: 5_000 });
  return queue;
}

test('a class from before has no arrivals, no work and nothing taken, and counts from now on', async () => {
  const prefix = `t${randomBytes(4).toString('hex')}`;
  const queue = await open(prefix);
  for (let i = 0; i < 3; i += 1)
    await queue.enqueue(aJob(cls, { rows: 2 }), new Uint8Array(1), roomy);
  await queue.claim(cls, { ...anyRows, rowsMax: 2 });
  await queue.offer('w1', cls, profile);
  const connection = waitingConnection({ url: redis.url, prefix }, 'wake', new Emitter());
  const key = (name: string): string => `${prefix}:{${cls}}:${name}`;
  await connection.hdel(key('x:stat'), 'arrived', 'work');
  await connection.del(key('x:taken'));
  connection.disconnect();
  const flow = { tenant: 'default', priority: 'normal' };
  expect((await queue.stats([cls]))[0]).toMatchObject({
    waitingRows: 4,
    arrivedRows: 0,
    rowWorkMs: null,
    workers: 1,
  });
  expect(await queue.flows([cls])).toEqual([[{ ...flow, waiting: 2, takenRows: 0 }]]);
  await queue.enqueue(aJob(cls, { rows: 5 }), new Uint8Array(1), roomy);
  await queue.claim(cls, { ...anyRows, rowsMax: 2 });
  await queue.offer('w1', cls, profile);
  expect((await queue.stats([cls]))[0]).toMatchObject({
    waitingRows: 7,
    arrivedRows: 5,
    rowWorkMs: 40,
  });
  expect(await queue.flows([cls])).toEqual([[{ ...flow, waiting: 2, takenRows: 2 }]]);
  await queue.close();
});

test('a worker of before, which tells no work, is counted and changes no mean', async () => {
  const prefix = `t${randomBytes(4).toString('hex')}`;
  const [beforeWork] = scripts.offer.split('local speed');
  expect(beforeWork).toContain('p.work = tonumber(ARGV[5])');
  const offer = `${beforeWork?.replace('p.work =', 'local _ =')} return 0`;
  const [queue, older] = [await open(prefix), await open(prefix, { offer })];
  await older.offer('w0', cls, { ...profile, rowWorkMs: 1 });
  expect((await queue.stats([cls]))[0]).toMatchObject({ workers: 1, rowWorkMs: null });
  await queue.offer('w1', cls, profile);
  expect((await queue.stats([cls]))[0]).toMatchObject({ workers: 2, rowWorkMs: 40 });
  // Its next renewal leaves what is known.
  await older.offer('w0', cls, { ...profile, rowWorkMs: 1 });
  expect((await queue.stats([cls]))[0]).toMatchObject({ workers: 2, rowWorkMs: 40 });
  await queue.close();
  await older.close();
});
