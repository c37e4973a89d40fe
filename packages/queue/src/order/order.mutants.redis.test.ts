/** The checks of order can fail on the durable queue: scripts with known faults are found out. */
import { randomBytes } from 'node:crypto';
import { classOf } from '@inferry/contracts';
import { systemClock } from '@inferry/runtime';
import { type RedisServer, startRedisServer, waitFor } from '@inferry/testkit';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createBullmqQueue } from '../bullmq/bullmq-queue.ts';
import { type Scripts, scripts } from '../bullmq/script-runner.ts';
import type { JobQueue } from '../port.ts';
import { type Crowd, runCrowd } from './crowd.fixture.ts';
import { replayAll } from './replay.fixture.ts';

/** Nobody dies here. */
const leaseMs = 30_000;

let redis: RedisServer;
beforeAll(async () => {
  redis = await startRedisServer();
});
afterAll(async () => {
  await redis[Symbol.asyncDispose]();
});

type Scene = Pick<Crowd, 'flows' | 'agingMs' | 'returns'>;
const one: Scene = {
  flows: [{ tenant: 'default', priority: 'normal', weight: 4 }],
  agingMs: 1e9,
  returns: 0,
};
const two: Scene = {
  ...one,
  flows: [
    { tenant: 'a', priority: 'high', weight: 8 },
    { tenant: 'b', priority: 'low', weight: 1 },
  ],
};

/** What two gateways and two workers find wrong with such a queue; undefined when nothing is. */
async function fault(scene: Scene, wrong: Partial<Scripts>): Promise<string | undefined> {
  const prefix = `t${randomBytes(4).toString('hex')}`;
  const open = (processId: string): JobQueue =>
    createBullmqQueue({
      url: redis.url,
      prefix,
      clock: systemClock,
      processId,
      leaseMs,
      sweepMs: 50,
      scripts: wrong,
    });
  const gateways = ['g1', 'g2'].map(open);
  const workers = ['w1', 'w2'].map(open);
  try {
    for (const queue of [...gateways, ...workers]) {
      await waitFor(async () => (await queue.ping()) !== undefined, { timeoutMs: 5_000 });
    }
    const { entries, isOver } = await runCrowd({
      ...scene,
      cls: classOf('m', '1'),
      clock: systemClock,
      gateways,
      workers,
      jobsPerGateway: 120,
      rowsMax: 2,
      leaseMs,
      crashes: 0,
      cancels: 0,
      hurries: 0,
      seed: 9,
      limitMs: 4_000,
    });
    replayAll(entries, isOver);
    return isOver ? undefined : 'it never ended';
  } catch (cause) {
    return cause instanceof Error ? cause.message : String(cause);
  } finally {
    for (const queue of [...gateways, ...workers]) await queue.close();
  }
}

/** The script with what it says to Redis changed: `lua` sees each command as the list `a`. */
function meddled(name: keyof Scripts, lua: string): Partial<Scripts> {
  const honest = 'local C = redis.call\n';
  expect(scripts[name]).toContain(honest);
  const meddling = `local function C(...)
  local a = {...}
  ${lua}
  return redis.call(unpack(a))
end
`;
  return { [name]: scripts[name].replace(honest, () => meddling) };
}

/** The script with `lua` run before each of its counts changes, which are `field` and `by`. */
function miscounted(name: keyof Scripts, lua: string): Partial<Scripts> {
  const honest = 'local function bump(field, by)\n';
  expect(scripts[name]).toContain(honest);
  return { [name]: scripts[name].replace(honest, () => `${honest}${lua}\n`) };
}

test('the scripts as they are have no fault, meddled with or not', async () => {
  expect(await fault(one, {})).toBeUndefined();
  const idle = { ...meddled('claim', ''), ...meddled('enqueue', ''), ...meddled('giveBack', '') };
  expect(await fault({ ...two, returns: 0.1 }, idle)).toBeUndefined();
});

test('newest first is found', async () => {
  const lua = `if a[1] == 'ZRANGE' and a[2] == KEYS[1]..'prioritized' then a[3], a[4] = -1, -1 end`;
  const wrong = meddled('claim', lua);
  expect(wrong.claim).toContain('"ZPOPMIN"');
  const claim = wrong.claim?.replaceAll('"ZPOPMIN"', '"ZPOPMAX"') ?? '';
  expect(await fault(one, { claim })).toMatch(/^claim \d+ of/u);
});

test('jobs that come back to the end of the line are found', async () => {
  const lua = `if a[1] == 'ZADD' and a[2] == KEYS[1]..'prioritized' then a[3] = '9e15' end`;
  const found = await fault({ ...one, returns: 0.2 }, meddled('giveBack', lua));
  expect(found).toMatch(/^claim \d+ of|ahead instead of/u);
});

test('jobs that come back as if they were innocent are found', async () => {
  const lua = `if a[1] == 'HINCRBY' and a[3] == 'stc' then a[4] = 0 end`;
  expect(await fault({ ...one, returns: 0.3 }, meddled('giveBack', lua))).toMatch(/^claim \d+ of/u);
});

test('a claim of more rows than asked for is found', async () => {
  const claim = scripts.claim.replace('local C =', 'ARGV[3] = ARGV[3] + 1\nlocal C =');
  expect(await fault(one, { claim })).toMatch(/^claim \d+ of/u);
});

test('weights that do not count are found', async () => {
  const enqueue = scripts.enqueue.replace('local C =', "ARGV[5] = '1'\nlocal C =");
  expect(await fault(two, { enqueue })).toMatch(/^claim \d+ of|ahead instead of/u);
});

test('a flow that is not charged for what it was given is found', async () => {
  const lua = `if string.sub(field, 1, 2) == 'c:' then by = 0 end`;
  const found = await fault(two, miscounted('claim', lua));
  expect(found).toMatch(/^claim \d+ of|ahead instead of/u);
});

test('old jobs that are not served first are found', async () => {
  const claim = scripts.claim.replace('local C =', "ARGV[10] = '1000000000'\nlocal C =");
  expect(await fault({ ...two, agingMs: 2 }, { claim })).toMatch(/^claim \d+ of/u);
});

test('a count of overtakes that forgets who came back is found', async () => {
  const lua = `if string.sub(field, 1, 2) == 'd:' then by = 0 end`;
  const found = await fault({ ...one, returns: 0.2 }, miscounted('giveBack', lua));
  expect(found).toMatch(/overtaken by/u);
});

test('changes that are not numbered one by one are found', async () => {
  const lua = `if field == 'ev' then by = 2 end`;
  expect(await fault(one, miscounted('claim', lua))).toMatch(/^change \d+ came after/u);
});
