import { randomBytes } from 'node:crypto';
import { classOf, type JobEnvelope, type JobOutput } from '@inferry/contracts';
import { type Clock, systemClock, VirtualClock } from '@inferry/runtime';
import { type RedisServer, startRedisServer, waitFor } from '@inferry/testkit';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { aJob, anyRows, roomy } from '../job-queue.contract.ts';
import type { PartialMark } from '../partials.ts';
import type { Claim, JobQueue } from '../port.ts';
import { createBullmqQueue } from './bullmq-queue.ts';

const cls = classOf('m', '1');
const start: PartialMark = { epoch: 0, number: 0 };
const word: JobOutput = { form: 'rows', rows: ['a'] };

let redis: RedisServer;
let admin: Redis;
beforeAll(async () => {
  redis = await startRedisServer();
  admin = new Redis(redis.url);
});
afterAll(async () => {
  admin.disconnect();
  await redis[Symbol.asyncDispose]();
});

async function open(prefix: string, processId: string, clock: Clock): Promise<JobQueue> {
  const queue = createBullmqQueue({ url: redis.url, prefix, clock, processId });
  await waitFor(async () => (await queue.ping()) !== undefined, { timeoutMs: 5_000 });
  return queue;
}

async function running(
  queue: JobQueue,
  over: Partial<JobEnvelope> = {},
): Promise<{ readonly job: JobEnvelope; readonly claim: Claim }> {
  const job = aJob(cls, over);
  await queue.enqueue(job, new Uint8Array([1, 2, 3]), roomy);
  const { claims } = await queue.claim(cls, anyRows);
  return { job, claim: claims[0]! };
}

const newPrefix = (): string => `t${randomBytes(4).toString('hex')}`;

test('news of a job comes as a message, without a look', async () => {
  const prefix = newPrefix();
  const worker = await open(prefix, 'w', systemClock);
  // Its clock stands still: it never looks by itself.
  const gateway = await open(prefix, 'g', new VirtualClock());
  const job = aJob(cls);
  await gateway.enqueue(job, new Uint8Array([1]), roomy);
  let wakes = 0;
  const follower = gateway.partials.follow(job, () => void (wakes += 1));
  await follower.read(start);
  const isNews = async (act: () => Promise<unknown>): Promise<void> => {
    wakes = 0;
    await act();
    await waitFor(() => wakes === 1, { timeoutMs: 5_000 });
  };
  let claim: Claim | undefined;
  await isNews(async () => ([claim] = (await worker.claim(cls, anyRows)).claims));
  await isNews(() => worker.partials.emit(cls, claim!, 1, word));
  await isNews(() => worker.cancel(job.id, 'no'));
  await worker.close();
  await gateway.close();
});

test('a follower whose messages were lost with the connection is woken when it is back', async () => {
  const prefix = newPrefix();
  const gateway = await open(prefix, 'g', new VirtualClock());
  const { job } = await running(gateway);
  let wakes = 0;
  const follower = gateway.partials.follow(job, () => void (wakes += 1));
  await follower.read(start);
  wakes = 0;
  await admin.call('CLIENT', 'KILL', 'TYPE', 'pubsub');
  await waitFor(() => wakes === 1, { timeoutMs: 5_000 });
  await gateway.close();
});

test('partial outputs live as long as the outcome of their job', async () => {
  const prefix = newPrefix();
  const queue = await open(prefix, 'p', systemClock);
  const { claim, job } = await running(queue, { deadlineMs: 100_000, retentionMs: 20_000 });
  const key = `${prefix}:{${cls}}:x:part:${job.id}`;
  await queue.partials.emit(cls, claim, 1, word);
  const whileLive = await admin.pttl(key);
  expect(whileLive).toBeGreaterThan(100_000);
  expect(whileLive).toBeLessThanOrEqual(120_000);
  await queue.cancel(job.id, 'no');
  const after = await admin.pttl(key);
  expect(after).toBeGreaterThan(10_000);
  expect(after).toBeLessThanOrEqual(20_000);
  await queue.close();
});

test('outcomes that give way to others take their partial outputs with them', async () => {
  const prefix = newPrefix();
  const queue = createBullmqQueue({
    url: redis.url,
    prefix,
    clock: systemClock,
    processId: 'p',
    resultBytesPerClassMax: 30_000,
  });
  await waitFor(async () => (await queue.ping()) !== undefined, { timeoutMs: 5_000 });
  const large: JobOutput = { form: 'rows', rows: ['y'.repeat(20_000)] };
  const jobs: JobEnvelope[] = [];
  for (let i = 0; i < 2; i += 1) {
    const { claim, job } = await running(queue);
    await queue.partials.emit(cls, claim, 1, large);
    await queue.cancel(job.id, 'no');
    jobs.push(job);
  }
  const keys = jobs.map(({ id }) => `${prefix}:{${cls}}:x:part:${id}`);
  expect(await Promise.all(keys.map((key) => admin.exists(key)))).toEqual([0, 1]);
  await queue.close();
});

test('at the memory limit partial outputs are refused, and who follows reads on', async () => {
  const prefix = newPrefix();
  const queue = await open(prefix, 'p', systemClock);
  const { claim, job } = await running(queue);
  await queue.partials.emit(cls, claim, 1, word);
  await admin.config('SET', 'maxmemory', '1');
  try {
    expect(await queue.partials.emit(cls, claim, 2, word)).toMatchObject({
      error: { code: 'storage_exhausted' },
    });
    const follower = queue.partials.follow(job, () => undefined);
    const told = await follower.read(start);
    expect(told).toMatchObject({
      value: { state: 'running', partials: [{ mark: { number: 1 } }] },
    });
    follower.stop();
  } finally {
    await admin.config('SET', 'maxmemory', '0');
  }
  expect(await queue.partials.emit(cls, claim, 2, word)).toEqual({ ok: true, value: 'told' });
  await queue.close();
});

test('while Redis is away both sides are told so', async () => {
  const away = createBullmqQueue({
    url: 'redis://127.0.0.1:1',
    prefix: 't',
    clock: systemClock,
    processId: 'p',
  });
  const job = aJob(cls);
  const follower = away.partials.follow(job, () => undefined);
  expect(await follower.read(start)).toMatchObject({ error: { code: 'queue_unavailable' } });
  const claim = { job, fence: 'f' } as Claim;
  expect(await away.partials.emit(cls, claim, 1, word)).toMatchObject({
    error: { code: 'queue_unavailable' },
  });
  await away.close();
});
