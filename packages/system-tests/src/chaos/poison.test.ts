/** One poisoned input: that job fails alone, its neighbours are answered, the worker comes back. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { writeSimulatedModel } from '../simulated-model.ts';
import {
  type Document,
  ended,
  fixtureModels,
  inParallel,
  postJson,
  readiness,
  System,
} from '../system.ts';

let system: System;
beforeEach(async () => {
  system = await System.open({}, { INFERRY_LEASE_MS: '1500' });
});
afterEach(async () => {
  await system.stop();
});

/** Queues the values before any worker lives, so that they share batches; answers by value. */
async function serve(
  models: string,
  model: string,
  datatype: string,
  values: readonly number[],
  flags: readonly string[] = [],
): Promise<{
  readonly jobs: ReadonlyMap<number, Document>;
  readonly comesBack: () => Promise<void>;
}> {
  const gateway = await system.start('gateway', models);
  const ids: string[] = [];
  for (const value of values) {
    const input = { inputs: [{ name: 'x', shape: [1, 1], datatype, data: [value] }] };
    const { status, body } = await postJson(`${gateway.url}/v1/models/${model}/jobs`, { input });
    expect(status, JSON.stringify(body)).toBe(202);
    ids.push(String(body['id']));
  }
  const worker = await system.start('worker', models, ['--only', model, ...flags]);
  const jobs = await inParallel(ids, 16, (id) => ended(gateway.url, id));
  return {
    jobs: new Map(values.map((value, i) => [value, jobs[i] ?? {}])),
    comesBack: async () => {
      await readiness(worker.process, 'worker', (pid) => pid !== worker.childPid);
      const input = { inputs: [{ name: 'x', shape: [1, 1], datatype, data: [1] }] };
      const { body } = await postJson(`${gateway.url}/v1/models/${model}/jobs`, { input });
      expect(await ended(gateway.url, String(body['id']))).toMatchObject({ status: 'succeeded' });
    },
  };
}

function expectOnlyToFail(jobs: ReadonlyMap<number, Document>, poison: number, code: string): void {
  for (const [value, job] of jobs) {
    if (value === poison) expect(job).toMatchObject({ status: 'failed', error: { code } });
    else expect(job, JSON.stringify(job)).toMatchObject({ status: 'succeeded' });
  }
}

describe.each(['threads', 'compute'])('prepared in %s', (where) => {
  const flags = ['--prepare-in', where];

  test('a run that throws: the batch is divided until the culprit stands alone', async () => {
    const values = [1, 2, 3, 99, 5, 6, 7, 8, 9, 10];
    const { jobs } = await serve(fixtureModels, 'picky', 'INT64', values, flags);
    expectOnlyToFail(jobs, 99, 'model_error');
  });

  test('a run that hangs in native code: its job fails, the process is replaced', async () => {
    const values = [1, 2, 3, 1e12, 5, 6, 7, 8, 9, 10];
    const { jobs, comesBack } = await serve(fixtureModels, 'count_to', 'FP32', values, flags);
    expectOnlyToFail(jobs, 1e12, 'execution_timeout');
    await comesBack();
  });
});

test('a run that crashes the process: its job fails when its attempts are used up', async () => {
  const models = await writeSimulatedModel('fragile', { run_ms: 20, crash_on: 666 });
  const values = [1, 2, 3, 666, 5, 6, 7, 8, 9, 10];
  const { jobs, comesBack } = await serve(models, 'fragile', 'FP32', values);
  expectOnlyToFail(jobs, 666, 'worker_lost');
  await comesBack();
});
