/** A step that takes its worker with it, on a worker that holds its ensemble and many others. */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { writeSimulatedModel } from '../simulated-model.ts';
import { ended, inParallel, postJson, System } from '../system.ts';

let system: System;
beforeEach(async () => {
  system = await System.open({}, { INFERRY_LEASE_MS: '1500' });
});
afterEach(async () => {
  await system.stop();
});

const ensemble = `backend: ensemble
inputs: [{name: x, dtype: FP32, shape: [-1, 1]}]
outputs: [{name: y, dtype: FP32, shape: [-1, 1]}]
ensemble:
  steps:
    - {model: fragile, inputs: {x: x}, outputs: {y: middle}}
    - {model: fragile, inputs: {x: middle}, outputs: {y: y}}
`;
const poison = 13;

test('it alone fails, after three starts, and all other ensembles are answered', async () => {
  const models = await writeSimulatedModel('fragile', { run_ms: 20, crash_on: poison });
  await mkdir(join(models, 'twice', '1'), { recursive: true });
  await writeFile(join(models, 'twice', 'model.yaml'), ensemble);
  const gateway = await system.start('gateway', models);
  const values = [...Array.from({ length: 12 }, (_, i) => i + 1), poison, 50, 51, 52];
  const ids = await inParallel(values, 8, async (value) => {
    const inputs = [{ name: 'x', shape: [1, 1], datatype: 'FP32', data: [value] }];
    const { body } = await postJson(`${gateway.url}/v1/models/twice/jobs`, { input: { inputs } });
    return String(body['id']);
  });
  const worker = await system.start('worker', models);
  const jobs = await inParallel(ids, 16, (id) => ended(gateway.url, id, 150_000));
  for (const [i, job] of jobs.entries()) {
    if (values[i] === poison) {
      expect(job).toMatchObject({ status: 'failed', error: { code: 'worker_lost' } });
      const { detail } = job['error'] as { readonly detail: string };
      expect(detail).toMatch(/^Step 1: Model "fragile", version 1: /u);
    } else {
      expect(job, JSON.stringify(job)).toMatchObject({
        status: 'succeeded',
        output: { outputs: [{ name: 'y', data: [values[i]] }] },
      });
    }
  }
  // One start with others, and two alone.
  const starts = worker.process.lines.filter((line) => line.includes('"msg":"ready"'));
  expect(starts.length).toBeLessThanOrEqual(4);
}, 180_000);
