/** Operators load and unload models on all workers, through any gateway. */
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { waitFor } from '@inferry/testkit';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { joinRepositories, writeSimulatedModel } from '../simulated-model.ts';
import {
  type Answer,
  call,
  type Document,
  ended,
  postJson,
  type RunningRole,
  System,
} from '../system.ts';

let system: System;
let gateway: RunningRole;
let models: string;

beforeAll(async () => {
  models = await joinRepositories([
    await writeSimulatedModel('slow', { run_ms: 300 }, { max_batch_size: 1 }),
    await writeSimulatedModel('other', {}),
  ]);
  // Nothing changes but by what is ordered.
  system = await System.open({}, { INFERRY_MODELS_POLL_MS: '0' });
  [gateway] = await Promise.all([
    system.start('gateway', models),
    system.start('worker', models),
    system.start('worker', models),
  ]);
});
afterAll(async () => {
  await system.stop();
  await rm(models, { recursive: true, force: true });
});

const order = (what: 'load' | 'unload', model: string, at = gateway): Promise<Answer> =>
  call(`${at.url}/v2/repository/models/${model}/${what}`, { method: 'POST' });

const submit = (at = gateway): Promise<Answer> =>
  postJson(`${at.url}/v1/models/slow/jobs`, {
    input: { inputs: [{ name: 'x', datatype: 'FP32', shape: [1, 1], data: [1] }] },
  });

async function readyWorkers(at: RunningRole): Promise<unknown> {
  const { body } = await call(`${at.url}/v1/models/slow`);
  return (body['version_status'] as readonly Document[]).map((one) => one['ready_workers']);
}

test('a model that is unloaded serves what waits and nothing more, and stays away from workers that start later', async () => {
  const waiting = await Promise.all([submit(), submit(), submit(), submit()]);
  expect(waiting.map(({ status }) => status)).toEqual([202, 202, 202, 202]);
  expect((await order('unload', 'slow')).status).toBe(200);
  const refused = await submit();
  expect(refused.status).toBe(503);
  expect(refused.body).toMatchObject({ code: 'model_unavailable' });
  for (const { body } of waiting) {
    expect(await ended(gateway.url, String(body['id']))).toMatchObject({ status: 'succeeded' });
  }
  // One that others than this machine reach: it takes no orders, and knows what was ordered.
  const [second] = await Promise.all([
    system.start('gateway', models, ['--host', '0.0.0.0']),
    system.start('worker', models),
  ]);
  const closed = await order('load', 'slow', second);
  expect(closed.status).toBe(503);
  expect(closed.body).toMatchObject({ code: 'model_control_off', retryable: false });
  expect((await submit(second)).status).toBe(503);
  expect(await readyWorkers(second)).toEqual([0]);
  expect((await order('load', 'slow')).status).toBe(200);
  expect(await readyWorkers(gateway)).toEqual([3]);
  await waitFor(async () => (await submit(second)).status === 202);
  const { body } = await submit(second);
  expect(await ended(second.url, String(body['id']))).toMatchObject({ status: 'succeeded' });
});

test('a model that cannot be loaded as its files say is served as it was', async () => {
  const config = join(models, 'other', 'model.yaml');
  await writeFile(config, 'backend: simulated\nmax_batch_size: many\n');
  const broken = await order('load', 'other');
  expect(broken.status).toBe(400);
  expect(broken.body['error']).toContain('other/model.yaml:2: max_batch_size');
  const inputs = [{ name: 'x', datatype: 'FP32', shape: [1, 1], data: [1] }];
  expect((await postJson(`${gateway.url}/v2/models/other/infer`, { inputs })).status).toBe(200);
});
