/**
 * Redis stopped for eight seconds under load and started again: no accepted job is lost, none that was
 * running runs twice, and callers are told meanwhile when to come back.
 */
import { sleep, systemClock } from '@inferry/runtime';
import { waitFor } from '@inferry/testkit';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { writeSimulatedModel } from '../simulated-model.ts';
import { type Answer, ended, inParallel, metricSum, postJson, System } from '../system.ts';

const outageMs = 8_000;

let system: System;
beforeEach(async () => {
  system = await System.open({ appendonly: 'everysec' });
});
afterEach(async () => {
  await system.stop();
});

test('a Redis outage of eight seconds loses nothing and repeats nothing', async () => {
  const models = await writeSimulatedModel('slow', { run_ms: 40 });
  const gateway = await system.start('gateway', models);
  const workers = [await system.start('worker', models), await system.start('worker', models)];

  const answers: Answer[] = [];
  const loading = new AbortController();
  const load = async (): Promise<void> => {
    for (let i = 1; !loading.signal.aborted; i += 1) {
      const input = { inputs: [{ name: 'x', shape: [1, 1], datatype: 'FP32', data: [i] }] };
      answers.push(await postJson(`${gateway.url}/v1/models/slow/jobs`, { input }));
      await sleep(systemClock, 5);
    }
  };
  const loads = [load(), load(), load(), load()];
  await waitFor(async () => (await metricSum(workers, 'inferry_batch_size_count')) > 10);

  await system.redis.stop('SIGTERM');
  const stoppedAt = answers.length;
  await sleep(systemClock, outageMs);
  const during = answers.slice(stoppedAt);
  await system.redis.start();
  const restartedAt = answers.length;
  await waitFor(() => answers.slice(restartedAt).some(({ status }) => status === 202), {
    what: 'jobs to be accepted again',
  });
  await sleep(systemClock, 2_000);
  loading.abort();
  await Promise.all(loads);

  const refused = answers.filter(({ status }) => status !== 202);
  expect(during.length).toBeGreaterThan(0);
  for (const { status, headers, body } of refused) {
    expect([status, body['code']]).toEqual([503, 'queue_unavailable']);
    expect(Number(headers.get('retry-after'))).toBeGreaterThanOrEqual(1);
  }
  const accepted = answers.flatMap(({ status, body }) =>
    status === 202 ? [String(body['id'])] : [],
  );
  const jobs = await inParallel(accepted, 32, (id) => ended(gateway.url, id));
  for (const job of jobs) {
    expect(job['status'], JSON.stringify(job)).toBe('succeeded');
    expect(job['attempt'], JSON.stringify(job)).toBe(1);
  }
  expect(jobs.length).toBeGreaterThan(50);
});
