/** The order that the durable queue keeps while many processes use it at once. */
import { randomBytes } from 'node:crypto';
import { classOf } from '@inferry/contracts';
import { systemClock } from '@inferry/runtime';
import { type RedisServer, startRedisServer, waitFor } from '@inferry/testkit';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createBullmqQueue } from '../bullmq/bullmq-queue.ts';
import type { JobQueue } from '../port.ts';
import { type Crowd, runCrowd } from './crowd.fixture.ts';
import { type Replay, replayAll } from './replay.fixture.ts';

const one = [{ tenant: 'default', priority: 'normal', weight: 4 }] as const;
const many = [
  { tenant: 'a', priority: 'high', weight: 8 },
  { tenant: 'a', priority: 'low', weight: 1 },
  { tenant: 'b', priority: 'normal', weight: 12 },
  { tenant: 'c', priority: 'normal', weight: 4 },
] as const;

let redis: RedisServer;
beforeAll(async () => {
  redis = await startRedisServer();
});
afterAll(async () => {
  await redis[Symbol.asyncDispose]();
});

async function play(scene: Pick<Crowd, 'rowsMax' | 'seed'> & Partial<Crowd>): Promise<Replay> {
  // Where nobody dies, a slow machine must not make it look so.
  const leaseMs = (scene.crashes ?? 0) > 0 ? 400 : 30_000;
  const prefix = `t${randomBytes(4).toString('hex')}`;
  const open = (processId: string): JobQueue =>
    createBullmqQueue({
      url: redis.url,
      prefix,
      clock: systemClock,
      processId,
      leaseMs,
      sweepMs: 50,
    });
  const gateways = ['g1', 'g2', 'g3'].map(open);
  const workers = ['w1', 'w2', 'w3', 'w4'].map(open);
  const queues = [...gateways, ...workers];
  try {
    for (const queue of queues) {
      await waitFor(async () => (await queue.ping()) !== undefined, { timeoutMs: 5_000 });
    }
    const { entries, problems, isOver } = await runCrowd({
      flows: one,
      agingMs: 1e9,
      crashes: 0,
      returns: 0,
      cancels: 0.05,
      hurries: 0,
      ...scene,
      cls: classOf('m', '1'),
      clock: systemClock,
      gateways,
      workers,
      leaseMs,
      jobsPerGateway: 300,
      limitMs: 12_000,
    });
    expect(problems).toEqual([]);
    expect(isOver).toBe(true);
    const replay = replayAll(entries, true);
    expect(replay.model.jobs).toHaveLength(900);
    return replay;
  } finally {
    for (const queue of queues) await queue.close();
  }
}

test('one flow: nobody is overtaken, whatever gateways and workers do at once', async () => {
  const replay = await play({ rowsMax: 1, seed: 1 });
  expect(replay.overtakes).toBe(0);
  expect(replay.tightest).toBeGreaterThan(0.5);
});

test('one flow, with claims given back and workers that die: overtaken by those who were claimed meanwhile', async () => {
  const replay = await play({ rowsMax: 3, crashes: 0.01, returns: 0.05, hurries: 0.1, seed: 2 });
  expect(replay.returns).toBeGreaterThan(0);
  expect(replay.overtakes).toBeGreaterThan(0);
});

test('flows share by their weights, and none is passed by more than its share', async () => {
  const replay = await play({ flows: many, rowsMax: 1, seed: 3 });
  expect(replay.overtakes).toBe(0);
  expect(replay.tightestShare).toBeGreaterThan(0.5);
});

test('flows with jobs of many rows, some of them old before their turn', async () => {
  const replay = await play({ flows: many, rowsMax: 4, agingMs: 5, hurries: 0.1, seed: 4 });
  expect(replay.overtakes).toBe(0);
  expect(replay.agedClaims).toBeGreaterThan(0);
});

test('flows with jobs of many rows, claims given back and workers that die', async () => {
  const disturbed = { crashes: 0.01, returns: 0.05, hurries: 0.1 };
  const replay = await play({ flows: many, rowsMax: 4, ...disturbed, seed: 5 });
  expect(replay.returns).toBeGreaterThan(0);
});
test('flows with old jobs, some of which come back', async () => {
  const disturbed = { crashes: 0.01, returns: 0.1 };
  const replay = await play({ flows: many, rowsMax: 4, agingMs: 5, ...disturbed, seed: 6 });
  expect(replay.returns).toBeGreaterThan(0);
  expect(replay.agedClaims).toBeGreaterThan(0);
});
