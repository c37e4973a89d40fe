/** Who is let in, who is refused at the door, and who gets a job instead; and that tenants share. */
import { rm } from 'node:fs/promises';
import { waitFor } from '@inferry/testkit';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { writeSimulatedModel } from '../simulated-model.ts';
import {
  type Answer,
  call,
  ended,
  metricSum,
  postJson,
  type RunningRole,
  System,
} from '../system.ts';

const directories: string[] = [];
let system: System;
beforeEach(async () => {
  system = await System.open({}, { INFERRY_TENANTS: 'heavy,light' });
});
afterEach(async () => {
  await system.stop();
  for (const directory of directories.splice(0)) await rm(directory, { recursive: true });
});

async function models(
  settings: Readonly<Record<string, number | string>>,
  costs = { run_ms: 150, row_ms: 0 },
): Promise<string> {
  const directory = await writeSimulatedModel('slow', costs, { max_batch_size: 1, ...settings });
  directories.push(directory);
  return directory;
}

const body = { inputs: [{ name: 'x', shape: [1, 1], datatype: 'FP32', data: [1] }] };

function infer(gateway: RunningRole, headers: Record<string, string> = {}): Promise<Answer> {
  return postJson(`${gateway.url}/v2/models/slow/infer`, body, headers);
}

function submit(
  gateway: RunningRole,
  headers: Record<string, string> = {},
  more: Readonly<Record<string, unknown>> = {},
): Promise<Answer> {
  return postJson(`${gateway.url}/v1/models/slow/jobs`, { input: body, ...more }, headers);
}

/** A worker has said what its runs take once an answer is expected. */
async function untilOffered(gateway: RunningRole): Promise<void> {
  await waitFor(
    async () => {
      const { body: job } = await submit(gateway);
      const queue = job['queue'] as { readonly estimated_completion_at: string | null } | null;
      await ended(gateway.url, String(job['id']));
      return queue !== null && queue.estimated_completion_at !== null;
    },
    { timeoutMs: 20_000, what: 'an expected answer' },
  );
}

test('with a budget, requests are answered in time or refused at once', async () => {
  const directory = await models({ admission: '{mode: target, budget_ms: 500}' });
  const gateways = [
    await system.start('gateway', directory),
    await system.start('gateway', directory),
  ] as const;
  const worker = await system.start('worker', directory);
  await untilOffered(gateways[0]);
  const acceptedBefore = await metricSum([worker], 'inferry_jobs_started_total');

  const answers = await Promise.all(
    Array.from({ length: 20 }, async (_, i) => {
      const startMs = performance.now();
      const answer = await infer(gateways[i % 2 === 0 ? 0 : 1], { 'inferry-tenant': 'light' });
      return { ...answer, ms: performance.now() - startMs };
    }),
  );
  const answered = answers.filter(({ status }) => status === 200);
  const refused = answers.filter(({ status }) => status !== 200);
  // One run at a time, 150 ms each: two or three fit into 500 ms.
  expect(answered.length).toBeGreaterThanOrEqual(2);
  expect(answered.length).toBeLessThanOrEqual(4);
  for (const { headers, status, body: problem } of refused) {
    // Behind jobs of its own tenant only: with none of them it would have been let in.
    expect(status).toBe(429);
    expect(problem).toMatchObject({ code: 'quota_exceeded', budget_ms: 500, retryable: true });
    expect(Number(headers.get('retry-after'))).toBeGreaterThanOrEqual(1);
    expect(Number(headers.get('retry-after-ms'))).toBeGreaterThanOrEqual(1);
  }
  // Nothing of what was refused reached the queue.
  const started = await metricSum([worker], 'inferry_jobs_started_total');
  expect(started - acceptedBefore).toBe(answered.length);
  const rejected = await metricSum(gateways, 'inferry_admission_total', {
    decision: 'rejected',
    reason: 'quota_exceeded',
  });
  expect(rejected).toBe(refused.length);
});

test('a shared line that is too long is 503, and a light tenant is still let in', async () => {
  const directory = await models({ admission: '{mode: target, budget_ms: 900}' });
  const gateway = await system.start('gateway', directory);
  await system.start('worker', directory);
  await untilOffered(gateway);
  const jobs: string[] = [];
  for (let i = 0; i < 20; i += 1) {
    const { body: job } = await submit(gateway, { 'inferry-tenant': 'heavy' });
    jobs.push(String(job['id']));
  }
  const heavy = await infer(gateway, { 'inferry-tenant': 'heavy' });
  expect(heavy).toMatchObject({ status: 429, body: { code: 'quota_exceeded' } });
  expect((await infer(gateway, { 'inferry-tenant': 'light' })).status).toBe(200);
  for (const id of jobs) await call(`${gateway.url}/v1/jobs/${id}/cancel`, { method: 'POST' });
});

test('who can wait gets a job with its place and its time instead of a refusal', async () => {
  const directory = await models({
    admission: '{mode: target, budget_ms: 150, on_infeasible: refuse}',
  });
  const gateway = await system.start('gateway', directory);
  await system.start('worker', directory);
  await untilOffered(gateway);
  const queued: string[] = [];
  for (let i = 0; i < 6; i += 1) queued.push(String((await submit(gateway)).body['id']));

  // Even alone it would be late: a run takes the whole budget, and another one is under way.
  expect((await submit(gateway, { prefer: 'wait=20' })).status).toBe(503);
  const onV1 = await submit(gateway, { prefer: 'respond-async, wait=20' });
  const onV2 = await infer(gateway, { prefer: 'respond-async' });
  for (const answer of [onV1, onV2]) {
    expect(answer.status).toBe(202);
    expect(answer.headers.get('preference-applied')).toBe('respond-async');
    expect(answer.headers.get('location')).toBe(`/v1/jobs/${String(answer.body['id'])}`);
    const queue = answer.body['queue'] as { readonly ahead: number; readonly estimate_ms: number };
    expect(queue.ahead).toBeGreaterThan(0);
    expect(queue.estimate_ms).toBeGreaterThan(0);
    const job = await ended(gateway.url, String(answer.body['id']));
    expect(job['status']).toBe('succeeded');
  }
  for (const id of queued) await ended(gateway.url, id);
});

test('without a worker, a model with a target refuses who waits and takes who does not', async () => {
  const directory = await models({ latency_target_ms: 500 });
  const gateway = await system.start('gateway', directory);
  expect(await infer(gateway)).toMatchObject({ status: 503, body: { code: 'model_unavailable' } });
  const job = await submit(gateway);
  expect(job.status).toBe(202);
  expect(job.body['queue']).toMatchObject({ ahead: 0, estimated_completion_at: null });
});

test('tenants and priorities share a model by weight, each in its own order', async () => {
  const directory = await models({ max_batch_size: 1 }, { run_ms: 15, row_ms: 0 });
  const gateway = await system.start('gateway', directory);
  const add = async (tenant: string, priority: string, count: number): Promise<string[]> => {
    const ids: string[] = [];
    for (let i = 0; i < count; i += 1) {
      const { body: job } = await submit(gateway, { 'inferry-tenant': tenant }, { priority });
      expect(job, JSON.stringify(job)).toMatchObject({ priority });
      ids.push(String(job['id']));
    }
    return ids;
  };
  const flood = await add('heavy', 'normal', 60);
  const few = await add('light', 'normal', 6);
  const urgent = await add('light', 'high', 6);
  const worker = await system.start('worker', directory);
  const startOf = async (ids: readonly string[]): Promise<number[]> =>
    Promise.all(
      ids.map(async (id) => Date.parse(String((await ended(gateway.url, id))['started_at']))),
    );
  const [floodAt, fewAt, urgentAt] = [
    await startOf(flood),
    await startOf(few),
    await startOf(urgent),
  ];
  for (const starts of [floodAt, fewAt, urgentAt]) {
    expect(starts).toEqual(starts.toSorted((a, b) => a - b));
  }
  const before = (at: number | undefined): number =>
    floodAt.filter((start) => start < (at ?? 0)).length;
  // Turn by turn with the flood (G3: at most q + 2 of it before the one with q of its own ahead), and the
  // urgent ones in about half the time.
  expect(before(fewAt.at(-1))).toBeLessThanOrEqual(7);
  expect(before(urgentAt.at(-1))).toBeLessThanOrEqual(4);
  expect(await metricSum([worker], 'inferry_overtaken_jobs_total')).toBe(0);
});

test('a tenant that is not configured is told so', async () => {
  const gateway = await system.start('gateway', await models({}));
  expect(await infer(gateway, { 'inferry-tenant': 'nobody' })).toMatchObject({
    status: 400,
    body: { code: 'invalid_header', header: 'Inferry-Tenant' },
  });
});
