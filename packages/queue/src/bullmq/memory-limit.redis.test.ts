/** A Redis whose memory is used up refuses new jobs, and nothing else. */
import { classOf } from '@inferry/contracts';
import { systemClock } from '@inferry/runtime';
import { startRedisServer, waitFor } from '@inferry/testkit';
import { Redis } from 'ioredis';
import { expect, test } from 'vitest';
import { aJob, roomy } from '../job-queue.contract.ts';
import { createBullmqQueue } from './bullmq-queue.ts';

const cls = classOf('m', '1');
const payload = new Uint8Array([1]);
const one = {
  workerId: 'w1',
  rowsMax: 1,
  rowsMin: 1,
  takeSuspect: false,
  freeInMs: [0],
  agingMs: 60_000,
};
const outcome = {
  status: 'succeeded',
  output: { form: 'rows', rows: [{ label: 'cat' }] },
  error: null,
  batchRows: 1,
  timings: null,
  readyAtMs: null,
  overtakenBy: 0,
} as const;

test('at the memory limit accepted jobs are still claimed, kept, given back, settled and swept, and models unloaded', async () => {
  await using redis = await startRedisServer();
  const { url } = redis;
  const queue = createBullmqQueue({ url, prefix: 't', clock: systemClock, processId: 'p1' });
  const admin = new Redis(url);
  await waitFor(async () => (await queue.ping()) !== undefined, { timeoutMs: 5_000 });
  const first = aJob(cls);
  const second = aJob(cls, { deadlineMs: 50, queueTimeoutMs: 50 });
  for (const job of [first, second]) await queue.enqueue(job, payload, roomy);
  await admin.config('SET', 'maxmemory', '1');

  const refused = await queue.enqueue(aJob(cls), payload, roomy);
  expect(refused).toMatchObject({ ok: false, error: { code: 'storage_exhausted' } });
  const { claims } = await queue.claim(cls, one);
  expect(await queue.renew('w1', cls, claims)).toEqual([]);
  expect(await queue.order({ model: 'm', want: 'unloaded' })).toMatchObject({ ok: true });
  await queue.giveBack(cls, claims, false);
  const again = await queue.claim(cls, one);
  expect(again.claims.map(({ job }) => job.id)).toEqual([first.id]);
  const settled = await queue.settle(cls, [{ claim: again.claims[0]!, outcome }]);
  expect(settled).toMatchObject([{ result: 'settled' }]);
  await waitFor(async () => (await queue.sweep(cls)).expired.some(({ id }) => id === second.id), {
    timeoutMs: 5_000,
  });
  const [stats] = await queue.stats([cls]);
  expect(stats).toMatchObject({ waiting: 0, active: 0 });
  admin.disconnect();
  await queue.close();
});
