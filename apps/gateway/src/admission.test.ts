/**
 * Who is let in, on both surfaces, and what the others are told.
 * tidy-allow: one table of decisions, the same for both surfaces.
 */
import {
  type AdmissionSpec,
  classOf,
  defaultLimits,
  type Limits,
  type ModelManifest,
} from '@inferry/contracts';
import type { Change } from '@inferry/queue';
import { afterEach, describe, expect, test } from 'vitest';

import {
  claimRequest,
  startWorker,
  succeeded,
  type TestGateway,
  testGateway,
  type TestWorker,
} from './gateway-fixture.test.ts';
import { iris } from './models-fixture.test.ts';

const cls = classOf('iris', '1');
const tensors = { form: 'tensors', tensors: [] } as const;
const flower = { length: 5, width: 2 };
const tensor = { name: 'features', datatype: 'FP32', shape: [1, 2], data: [1, 2] };
const v1 = '/v1/models/iris/jobs';
const v2 = '/v2/models/iris/infer';
type Json = Record<string, unknown>;
type Headers = Readonly<Record<string, string>>;

let gateway: TestGateway;
let worker: TestWorker | undefined;
let close: (() => Promise<void>) | undefined;
afterEach(async () => {
  await worker?.stop();
  worker = undefined;
  await close?.();
  close = undefined;
});

interface Scene extends Partial<AdmissionSpec> {
  readonly limits?: Partial<Limits>;
  readonly tenants?: ReadonlyMap<string, number>;
  /** What a run of one row takes, as a worker told; null where no worker lives. */
  readonly runMs?: number | null;
}

/** A gateway with one model, whose worker, if any, has told how fast it is and does not work. */
async function open({ limits, tenants, runMs = null, ...asked }: Scene): Promise<void> {
  const admission = { mode: 'target', budgetMs: 250, onInfeasible: 'refuse', ...asked } as const;
  const model: ModelManifest = { ...iris, admission, queueDepthMax: 100 };
  await close?.();
  gateway = testGateway(limits, { models: [model], ...(tenants === undefined ? {} : { tenants }) });
  close = () => gateway.close();
  if (runMs === null) return;
  const points = [{ rows: 1, ms: runMs }];
  await gateway.queue.offer('w0', cls, { rowsMax: 1, points, tailFactor: 1, rowWorkMs: 100 });
}

function post(path: string, body: unknown, headers: Headers = {}): Promise<Response> {
  const all = { 'Content-Type': 'application/json', ...headers };
  return gateway.request(path, { method: 'POST', body: JSON.stringify(body), headers: all });
}

const submit = (headers: Headers = {}, more: Json = {}): Promise<Response> =>
  post(v1, { input: flower, ...more }, headers);
const infer = (headers: Headers = {}, parameters: Json = {}): Promise<Response> =>
  post(v2, { inputs: [tensor], parameters }, headers);
const read = async (response: Response): Promise<Json> => (await response.json()) as Json;
const waiting = async (): Promise<number> => (await gateway.queue.stats([cls]))[0]?.waiting ?? 0;

/** `status code` of a refusal, `status` of anything else. */
async function told(response: Response): Promise<string> {
  const { code } = await read(response);
  return typeof code === 'string' ? `${response.status} ${code}` : String(response.status);
}

async function claimed() {
  const { claims } = await gateway.queue.claim(cls, claimRequest);
  return claims.map(({ job }) => job);
}

describe('a request that would be late', () => {
  const wait = { Prefer: 'wait=1' };
  const late = '503 deadline_infeasible';
  const nobody = '503 model_unavailable';

  test.each([
    // mode, worker, v1 without a wait, v1 with one, v2
    ['target', 1_000, '202', late, late],
    ['target', null, '202', nobody, nobody],
    ['target', 200, '202', '200', '200'],
    ['timeout', 60_000, '202', late, late],
    ['timeout', 200, '202', '200', '200'],
    ['timeout', null, '202', '200', '200'],
    ['depth', 60_000, '202', '200', '200'],
    ['off', 60_000, '202', '200', '200'],
  ] as const)(
    'is refused where the mode says so: %s, a run of %s ms',
    async (mode, runMs, unheld, held, inferred) => {
      await open({ mode, runMs, ...(mode === 'target' ? {} : { budgetMs: null }) });
      if (held === '200')
        worker = startWorker(gateway.queue, () => ({ ...succeeded, output: tensors }));
      expect(await told(await submit(wait))).toBe(held);
      expect(await told(await infer())).toBe(inferred);
      expect(await told(await submit())).toBe(unheld);
    },
  );

  test('is told when to come back, in seconds and in milliseconds', async () => {
    await open({ runMs: 1_000 });
    const response = await submit(wait);
    const problem = await read(response);
    expect(problem).toMatchObject({ retryable: true, budget_ms: 250 });
    expect(problem['estimate_ms']).toBeCloseTo(1_000, -2);
    const retryMs = Number(response.headers.get('retry-after-ms'));
    expect(retryMs).toBeGreaterThanOrEqual(750);
    expect(retryMs).toBeLessThanOrEqual(1_300);
    expect(problem['retry_after_ms']).toBe(retryMs);
    expect(response.headers.get('retry-after')).toBe(String(Math.ceil(retryMs / 1_000)));
  });

  test('leaves nothing behind: no job, no change of the class, no key', async () => {
    await open({ runMs: 1_000 });
    const changes: Change[] = [];
    gateway.queue.events.on('changed', (change) => changes.push(change));
    const keyed = { ...wait, 'Idempotency-Key': 'k' };
    expect(await told(await submit(keyed))).toBe(late);
    expect(await told(await infer())).toBe(late);
    expect([changes, await waiting()]).toEqual([[], 0]);
    const again = await submit({ 'Idempotency-Key': 'k' }, { input: { length: 1, width: 1 } });
    expect([again.status, again.headers.get('idempotency-replayed')]).toEqual([202, null]);
  });

  test('is counted by its reason, with the time that the refusal took', async () => {
    await open({ runMs: 1_000 });
    await submit(wait);
    const text = await gateway.metrics.text();
    expect(text).toContain(
      'inferry_admission_total{model="iris",decision="rejected",reason="deadline_infeasible"} 1',
    );
    expect(text).toContain(
      'inferry_refusal_duration_seconds_count{reason="deadline_infeasible"} 1',
    );
    expect(text).toContain('inferry_refusal_duration_seconds_count{reason="quota_exceeded"} 0');
  });

  test('by its own time limit counts against that, where it is the smaller one', async () => {
    await open({ runMs: 200 });
    expect(await told(await submit(wait, { deadline_ms: 100 }))).toBe(late);
    expect(await told(await infer({}, { timeout: 100_000 }))).toBe(late);
  });

  test('with no place to be held has nobody waiting for it, so it is never late', async () => {
    await open({ runMs: 1_000, limits: { heldRequestsMax: 0 } });
    expect(await told(await submit(wait))).toBe('202');
    expect((await claimed())[0]).toMatchObject({ gateway: null });
  });
});

describe('a caller that can come back', () => {
  const patient = { Prefer: 'respond-async, wait=30' };

  test.each([
    ['says so', {}, patient],
    ['is told to by the model', { onInfeasible: 'accept' }, { Prefer: 'wait=30' }],
    ['says so where no worker lives', { runMs: null }, patient],
  ] as const)(
    'because it %s gets its job at once instead of a refusal',
    async (_, more, headers) => {
      await open({ runMs: 90_000, ...more });
      const response = await submit(headers, { retention_ms: 4_321 });
      expect(response.status).toBe(202);
      expect(response.headers.get('preference-applied')).toBe('respond-async');
      const job = await read(response);
      expect(response.headers.get('location')).toBe(`/v1/jobs/${String(job['id'])}`);
      expect(job).toMatchObject({ status: 'queued', queue: { ahead: 0, approximate: false } });
      expect(await claimed()).toMatchObject([{ mode: 'async', gateway: null, retentionMs: 4_321 }]);
    },
  );

  test('is told its place, when it should be done, and when to look', async () => {
    await open({ runMs: 3_400 });
    const first = await submit(patient);
    expect(first.headers.get('retry-after')).toBe('4');
    const job = await read(first);
    const { estimated_completion_at: at, estimate_ms: ms } = job['queue'] as Json;
    expect(Date.parse(String(at)) - Date.parse(String(job['created_at']))).toBe(3_400);
    expect(ms).toBeGreaterThan(3_000);
    expect(ms).toBeLessThanOrEqual(3_400);
    const second = await submit(patient);
    expect(await read(second)).toMatchObject({ queue: { ahead: 1 } });
    expect(second.headers.get('retry-after')).toBe('7');
  });

  test('is not sent away for longer than a minute, nor told what nobody knows', async () => {
    await open({ runMs: 90_000 });
    expect((await submit()).headers.get('retry-after')).toBe('60');
    await open({ runMs: null });
    const unknown = await submit();
    expect(unknown.headers.get('retry-after')).toBe('1');
    expect(await read(unknown)).toMatchObject({
      queue: { estimated_completion_at: null, estimate_ms: null },
    });
  });

  test('whose wait is over first is told how its job is by then', async () => {
    await open({ mode: 'depth', budgetMs: null });
    const accepted = new Promise((resolve) => gateway.queue.events.on('changed', resolve));
    const response = submit({ Prefer: 'wait=30' });
    await accepted;
    const [job] = await claimed();
    await gateway.gateway.drain();
    const { status, id, queue } = await read(await response);
    expect({ status, id, queue }).toEqual({ status: 'running', id: job?.id, queue: null });
  });

  test('and need not is held as ever', async () => {
    await open({ runMs: 100 });
    worker = startWorker(gateway.queue, () => ({ ...succeeded, output: tensors }));
    const response = await submit(patient);
    expect([response.status, response.headers.get('preference-applied')]).toEqual([200, 'wait=30']);
    expect((await infer(patient)).status).toBe(200);
    expect(worker.seen.map(({ claim }) => claim.job.gateway)).toEqual(['gw', 'gw']);
  });

  test('gets a job from infer too, and its outputs where Location says', async () => {
    await open({ runMs: 1_000 });
    const response = await infer({ Prefer: 'respond-async' });
    expect(response.status).toBe(202);
    expect(response.headers.get('preference-applied')).toBe('respond-async');
    const location = response.headers.get('location') ?? '';
    expect(await read(response)).toMatchObject({ object: 'job', status: 'queued', model: 'iris' });
    worker = startWorker(gateway.queue, () => ({ ...succeeded, output: tensors }));
    const done = await read(await gateway.request(`${location}?wait=5`));
    expect(done).toMatchObject({ status: 'succeeded', output: { outputs: [] } });
    expect(worker.seen[0]?.claim.job).toMatchObject({
      mode: 'async',
      gateway: null,
      retentionMs: defaultLimits.retentionMsAsync,
    });
  });

  test('gets a job from infer where no request can be held any more', async () => {
    await open({ runMs: 100, limits: { heldRequestsMax: 0 } });
    expect(await told(await infer())).toBe('503 queue_full');
    expect((await infer({ Prefer: 'respond-async' })).status).toBe(202);
  });

  test('but does not say so is held by infer for as long as it takes', async () => {
    await open({ runMs: 1_000, onInfeasible: 'accept' });
    worker = startWorker(gateway.queue, () => ({ ...succeeded, output: tensors }));
    const response = await infer();
    expect([response.status, response.headers.get('location')]).toEqual([200, null]);
    expect(worker.seen[0]?.claim.job).toMatchObject({ mode: 'held', gateway: 'gw' });
  });

  test('finds the job again under its key', async () => {
    await open({ runMs: 1_000 });
    const keyed = { Prefer: 'respond-async, wait=1', 'Idempotency-Key': 'k' };
    const first = await submit(keyed);
    const again = await submit({ 'Idempotency-Key': 'k' });
    expect(again.headers.get('idempotency-replayed')).toBe('true');
    expect(again.headers.get('job-id')).toBe(first.headers.get('job-id'));
  });

  test('is refused where there is no room for the job', async () => {
    await open({ runMs: 1_000, limits: { queueDepthPerClassMax: 1 } });
    expect(await told(await submit(patient))).toBe('202');
    expect(await told(await submit(patient))).toBe('503 queue_full');
  });
});

describe('tenants', () => {
  const tenants = new Map([
    ['acme', 4],
    ['beta', 1],
  ]);
  const acme = { 'Inferry-Tenant': 'acme' };
  const beta = { 'Inferry-Tenant': 'beta' };
  const wait = { Prefer: 'wait=1' };

  test('are named by a header, priorities by the body, on both surfaces', async () => {
    await open({ tenants, runMs: null, mode: 'depth' });
    expect(await read(await submit(acme, { priority: 'high' }))).toMatchObject({
      priority: 'high',
    });
    await submit(beta, { priority: 'low' });
    await submit();
    expect(
      (await claimed()).map(({ tenant, priority }) => `${tenant} ${priority}`).toSorted(),
    ).toEqual(['acme high', 'beta low', 'default normal']);
    worker = startWorker(gateway.queue, () => ({ ...succeeded, output: tensors }));
    await infer(acme, { priority: 3 });
    expect(worker.seen[0]?.claim.job).toMatchObject({ tenant: 'acme', priority: 'low' });
  });

  test('that nobody knows are refused, and so is a priority that does not exist', async () => {
    await open({ tenants });
    for (const response of [
      await submit({ 'Inferry-Tenant': 'gamma' }),
      await infer({ 'Inferry-Tenant': 'gamma' }),
    ]) {
      const problem = await read(response);
      expect(problem).toMatchObject({ code: 'invalid_header', header: 'Inferry-Tenant' });
    }
    expect(await told(await submit(acme, { priority: 'urgent' }))).toBe('422 invalid_input');
    expect(await told(await infer(acme, { priority: 9 }))).toBe('400 invalid_input');
    expect(await waiting()).toBe(0);
  });

  test('and priorities mean nothing where there are none: one is ignored, the other refused', async () => {
    await open({ mode: 'depth' });
    expect((await submit({ 'Inferry-Tenant': 'anybody' })).status).toBe(202);
    expect(await claimed()).toMatchObject([{ tenant: 'default', priority: 'normal' }]);
    expect(await told(await submit({}, { priority: 'high' }))).toBe('422 unknown_field');
    expect(await told(await infer({}, { priority: 1 }))).toBe('400 unknown_field');
  });

  test('have keys of their own', async () => {
    await open({ tenants, mode: 'depth' });
    const key = { 'Idempotency-Key': 'k' };
    const first = await submit({ ...acme, ...key });
    const others = await submit({ ...beta, ...key });
    expect(others.headers.get('idempotency-replayed')).toBeNull();
    const again = await submit({ ...acme, ...key });
    expect(again.headers.get('job-id')).toBe(first.headers.get('job-id'));
  });

  test('are told 429 when their own jobs are in the way, and 503 when all are', async () => {
    await open({ tenants, runMs: 100 });
    for (let i = 0; i < 4; i += 1) await submit(acme);
    expect(await told(await submit({ ...acme, ...wait }))).toBe('429 quota_exceeded');
    expect(await told(await infer(acme))).toBe('429 quota_exceeded');
    const refused = await submit({ ...acme, ...wait });
    expect(Number(refused.headers.get('retry-after-ms'))).toBeGreaterThan(0);
    expect((await submit({ ...acme, Prefer: 'respond-async, wait=1' })).status).toBe(202);
    for (let i = 0; i < 4; i += 1) await submit(beta);
    for (let i = 0; i < 4; i += 1) await submit();
    await gateway.queue.offer('w0', cls, {
      rowsMax: 1,
      points: [{ rows: 1, ms: 300 }],
      tailFactor: 1,
      rowWorkMs: 100,
    });
    expect(await told(await submit({ ...acme, ...wait }))).toBe('503 deadline_infeasible');
  });

  test('have a number of jobs each that may wait', async () => {
    await open({ tenants, mode: 'depth', limits: { queueDepthPerTenantMax: 2 } });
    for (const expected of ['202', '202', '429 quota_exceeded']) {
      expect(await told(await submit(acme))).toBe(expected);
    }
    expect(await told(await submit(beta))).toBe('202');
  });
});
