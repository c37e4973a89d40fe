/** Order of arrival over any number of gateways and workers: nobody is started before an elder. */
import { afterEach, beforeEach, expect, test } from 'vitest';
import { writeSimulatedModel } from '../simulated-model.ts';
import { ended, inParallel, metricSum, postJson, System } from '../system.ts';

let system: System;
beforeEach(async () => {
  system = await System.open();
});
afterEach(async () => {
  await system.stop();
});

test('300 jobs through two gateways are started by two workers in the order of their acceptance', async () => {
  const models = await writeSimulatedModel('slow', { run_ms: 10, row_ms: 2 });
  const gateways = [await system.start('gateway', models), await system.start('gateway', models)];
  const ids: string[] = [];
  for (let i = 0; i < 300; i += 1) {
    const input = { inputs: [{ name: 'x', shape: [1, 1], datatype: 'FP32', data: [i] }] };
    const { status, body } = await postJson(`${gateways[i % 2]?.url}/v1/models/slow/jobs`, {
      input,
    });
    expect(status).toBe(202);
    ids.push(String(body['id']));
  }
  const workers = await Promise.all([
    system.start('worker', models),
    system.start('worker', models),
  ]);
  const jobs = await inParallel(ids, 32, (id) => ended(String(gateways[0]?.url), id));
  const starts = jobs.map((job) => String(job['started_at']));
  expect(starts).toEqual(starts.toSorted());
  expect(jobs.every((job) => job['status'] === 'succeeded')).toBe(true);
  expect(await metricSum(workers, 'inferry_overtaken_jobs_total')).toBe(0);
  for (const worker of workers) {
    expect(await metricSum([worker], 'inferry_batch_size_count')).toBeGreaterThan(0);
  }
});
