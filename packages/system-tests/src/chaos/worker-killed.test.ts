/** kill -9 of one of two workers under load: nothing is lost, nothing is answered twice. */
import { waitFor } from '@inferry/testkit';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { writeSimulatedModel } from '../simulated-model.ts';
import {
  call,
  ended,
  inParallel,
  metricSum,
  postJson,
  type RunningRole,
  System,
} from '../system.ts';

let system: System;
beforeEach(async () => {
  system = await System.open({}, { INFERRY_LEASE_MS: '1500' });
});
afterEach(async () => {
  await system.stop();
});

const runMs = 150;

async function submit(gateway: RunningRole, value: number): Promise<string> {
  const { status, body } = await postJson(`${gateway.url}/v1/models/slow/jobs`, {
    input: { inputs: [{ name: 'x', shape: [1, 1], datatype: 'FP32', data: [value] }] },
  });
  expect(status).toBe(202);
  return String(body['id']);
}

function valueOf(job: Readonly<Record<string, unknown>>): number {
  const output = job['output'] as { readonly outputs: readonly { readonly data: number[] }[] };
  return output.outputs[0]?.data[0] ?? Number.NaN;
}

test('the jobs of a killed worker are served next, and every job is answered once', async () => {
  const models = await writeSimulatedModel('slow', { run_ms: runMs }, { max_batch_size: 4 });
  const gateway = await system.start('gateway', models);
  const survivor = await system.start('worker', models);
  const victim = await system.start('worker', models);
  const values = Array.from({ length: 160 }, (_, i) => i + 1);
  const ids = await inParallel(values, 16, (value) => submit(gateway, value));
  await waitFor(async () => (await metricSum([victim], 'inferry_batch_size_count')) >= 2, {
    what: 'the victim to have run batches',
  });
  // The supervisor first, so that nothing restarts the worker: the other one alone takes over.
  victim.process.kill('SIGKILL');
  process.kill(victim.childPid, 'SIGKILL');

  const jobs = await inParallel(ids, 32, (id) => ended(gateway.url, id));
  jobs.forEach((job, i) => {
    expect(job['status'], JSON.stringify(job)).toBe('succeeded');
    expect(valueOf(job)).toBe(values[i]);
  });
  const at = (job: Readonly<Record<string, unknown>>, field: string): number =>
    Date.parse(String(job[field]));
  const returned = jobs
    .filter((job) => job['attempt'] !== 1)
    .toSorted((a, b) => at(a, 'completed_at') - at(b, 'completed_at'));
  expect(returned.length).toBeGreaterThanOrEqual(1);
  expect(returned.length).toBeLessThanOrEqual(8);
  expect(returned.every((job) => job['attempt'] === 2)).toBe(true);

  // Served next: once the first of them runs, no job that waited behind starts before the last has run.
  const fromMs = at(returned[0] ?? {}, 'completed_at') - runMs / 2;
  const untilMs = at(returned.at(-1) ?? {}, 'completed_at') - runMs / 2;
  const between = jobs.filter((job) => {
    const startedMs = at(job, 'started_at');
    return job['attempt'] === 1 && startedMs > fromMs && startedMs < untilMs;
  });
  expect(between.map((job) => job['id'])).toEqual([]);
  expect(await metricSum([survivor], 'inferry_duplicate_results_total')).toBe(0);
});

test('a killed worker comes back by itself', async () => {
  const models = await writeSimulatedModel('slow', { run_ms: 10 });
  const gateway = await system.start('gateway', models);
  const worker = await system.start('worker', models);
  process.kill(worker.childPid, 'SIGKILL');
  const id = await submit(gateway, 1);
  expect(await ended(gateway.url, id)).toMatchObject({ status: 'succeeded' });
  await worker.process.waitForLine(
    (line) => line.includes('"msg":"ready"') && !line.includes(`"pid":${worker.childPid},`),
  );
  expect((await call(`${gateway.url}/readyz`)).status).toBe(200);
});
