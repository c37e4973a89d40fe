/**
 * The life of a job over HTTP, through two gateways that share nothing but Redis: whatever one of them
 * accepts, the other one can be asked about.
 * tidy-allow: a second file would start a second system.
 */
import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { waitFor } from '@inferry/testkit';
import { joinRepositories, writeSimulatedModel } from '../simulated-model.ts';
import {
  type Answer,
  call,
  demoModels,
  type Document,
  ended,
  inParallel,
  postJson,
  System,
} from '../system.ts';

const iris = { sepal_length: 5.1, sepal_width: 3.5, petal_length: 1.4, petal_width: 0.2 };
/** What one run takes. No worker serves `unserved`: its jobs stay queued. */
const slowMs = 600;
const longMs = 2_500;
const rows = { inputs: [{ name: 'x', shape: [1, 1], datatype: 'FP32', data: [1] }] };
/** Payloads up to this size travel with their job, larger ones lie beside it. */
const inlineBytesMax = 2_048;

let system: System;
let models: string;
/** Where jobs are submitted, and where they are asked about. */
let one: string;
let other: string;
let seven: Buffer;
let beforeWorker: { readonly broken: string; readonly neighbours: readonly string[] };

beforeAll(async () => {
  const slow = await writeSimulatedModel('slow', { run_ms: slowMs }, { max_batch_size: 1 });
  const long = await writeSimulatedModel('long', { run_ms: longMs });
  const unserved = await writeSimulatedModel('unserved', {});
  models = await joinRepositories([demoModels, slow, long, unserved]);
  seven = await readFile(join(demoModels, 'digits/samples/seven.png'));
  system = await System.open();
  const gateways = await Promise.all([
    system.start('gateway', models),
    system.start('gateway', models),
  ]);
  [one, other] = gateways.map(({ url }) => url) as [string, string];
  // Queued before there is a worker, so that they share a batch.
  const small = await sharp(seven).resize(32, 32).png({ palette: true }).toBuffer();
  const neighbours = await inParallel(Array(7).fill(small), 1, (image) =>
    submitted(postImage(image)),
  );
  const broken = await submitted(
    postImage(Buffer.concat([seven.subarray(0, 60), Buffer.alloc(99)])),
  );
  beforeWorker = { broken, neighbours };
  await system.start('worker', models, ['--only', 'iris,digits,slow,long']);
}, 90_000);

afterAll(async () => {
  await system.stop();
  await rm(models, { recursive: true });
});

function submit(
  model: string,
  body: object,
  headers: Record<string, string> = {},
  base = one,
): Promise<Answer> {
  const input = model === 'iris' ? iris : rows;
  return postJson(`${base}/v1/models/${model}/jobs`, { input, ...body }, headers);
}

function postImage(
  image: Uint8Array<ArrayBuffer>,
  headers: Record<string, string> = {},
): Promise<Answer> {
  return call(`${one}/v1/models/digits/jobs`, {
    method: 'POST',
    headers: { 'content-type': 'image/png', ...headers },
    body: image,
  });
}

async function submitted(answer: Promise<Answer>): Promise<string> {
  const { status, body } = await answer;
  expect(status, JSON.stringify(body)).toBe(202);
  return String(body['id']);
}

function read(id: string, query = '', base = other): Promise<Answer> {
  return call(`${base}/v1/jobs/${id}${query}`);
}

function cancel(id: string, body?: object): Promise<Answer> {
  const url = `${other}/v1/jobs/${id}/cancel`;
  return body === undefined ? call(url, { method: 'POST' }) : postJson(url, body);
}

function erase(id: string): Promise<Answer> {
  return call(`${other}/v1/jobs/${id}`, { method: 'DELETE' });
}

function until(id: string, status: string): Promise<Document> {
  return waitFor(
    async () => {
      const { body } = await read(id);
      return body['status'] === status && body;
    },
    { what: `job ${id} to be ${status}` },
  );
}

function msBetween(job: Document, from: string, to: string): number {
  return Date.parse(String(job[to])) - Date.parse(String(job[from]));
}

describe('the ways to submit', () => {
  const isSeven = { status: 'succeeded', output: { label: '7' } };

  test.each([
    ['that travels with its job', 32],
    ['that lies beside its job', 400],
  ])('an image %s, as JSON, as a form and as it is', async (_size, pixels) => {
    const image = await sharp(seven)
      .resize(pixels, pixels)
      .png({ palette: pixels < 100 })
      .toBuffer();
    expect(image.length > inlineBytesMax).toBe(pixels === 400);
    const url = `${one}/v1/models/digits/jobs`;
    const b64 = image.toString('base64');
    const fields = new FormData();
    fields.append('image', new Blob([image]));
    const withRequest = new FormData();
    const request = { input: { image: { $part: 'picture' } }, metadata: { order: '42' } };
    withRequest.append('request', JSON.stringify(request));
    withRequest.append('picture', new Blob([image]), 'seven.png');
    const ids = await Promise.all(
      [
        postJson(url, { input: { image: { $b64: b64, media_type: 'image/png' } } }),
        postJson(`${one}/v1/jobs`, { model: 'digits@1', input: { image: { $b64: b64 } } }),
        call(url, { method: 'POST', body: fields }),
        call(url, { method: 'POST', body: withRequest }),
        postImage(image),
      ].map(submitted),
    );
    const jobs = await Promise.all(ids.map((id) => ended(other, id)));
    for (const job of jobs) expect(job, JSON.stringify(job)).toMatchObject(isSeven);
    expect(jobs[3]?.['metadata']).toEqual({ order: '42' });
  });

  test('an input that cannot be decoded fails alone; its batch is answered', async () => {
    const { broken, neighbours } = beforeWorker;
    expect(await ended(other, broken)).toMatchObject({
      status: 'failed',
      output: null,
      error: { code: 'input_rejected', http_status: 422, retryable: false },
    });
    for (const id of neighbours) {
      const job = await ended(other, id);
      expect(job).toMatchObject(isSeven);
      const { batch_size: batchSize } = job['metrics'] as { readonly batch_size: number };
      expect(batchSize).toBeGreaterThanOrEqual(neighbours.length);
    }
  });
});

describe('waiting', () => {
  test('without a wait the answer is 202, with where and when to look', async () => {
    const { status, headers, body } = await submit('iris', { metadata: { order: '42' } });
    expect(status).toBe(202);
    expect(body).toMatchObject({
      object: 'job',
      model: 'iris',
      model_version: '1',
      status: 'queued',
      done: false,
      output: null,
      queue: { ahead: 0 },
      metadata: { order: '42' },
      urls: { get: `/v1/jobs/${String(body['id'])}` },
    });
    expect(headers.get('location')).toBe(`/v1/jobs/${String(body['id'])}`);
    expect(headers.get('job-id')).toBe(body['id']);
    expect(Number(headers.get('retry-after'))).toBeGreaterThanOrEqual(1);
  });

  test('Prefer: wait answers 200 with the result, which stays readable', async () => {
    const { status, headers, body } = await submit('iris', {}, { prefer: 'wait=20' });
    expect(status).toBe(200);
    expect(body).toMatchObject({ status: 'succeeded', done: true, output: { label: 'setosa' } });
    expect(headers.get('preference-applied')).toBe('wait=20');
    expect(headers.get('server-timing')).toMatch(/queue_wait;dur=.*compute;dur=.*total;dur=/u);
    expect((await read(String(body['id']))).body).toEqual(body);
  });

  test('a wait that is over first answers 202, and the job is found by its id', async () => {
    const { status, headers, body } = await submit('unserved', {}, { prefer: 'wait=1' });
    expect([status, headers.get('preference-applied')]).toEqual([202, 'wait=1']);
    expect(headers.get('retry-after')).not.toBeNull();
    expect(await read(String(body['id']))).toMatchObject({
      status: 200,
      body: { status: 'queued' },
    });
  });

  test('Prefer: respond-async asks for no wait', async () => {
    const { status, headers } = await submit('slow', {}, { prefer: 'respond-async' });
    expect([status, headers.get('preference-applied')]).toEqual([202, 'respond-async']);
  });

  test('a long poll at the other gateway answers when the job ends, not before and not later', async () => {
    const id = await submitted(submit('slow', {}));
    const live = await read(id);
    expect(live.status).toBe(200);
    expect(live.headers.get('retry-after')).not.toBeNull();
    const { body, headers } = await read(id, '?wait=30');
    const answeredAtMs = Date.now();
    expect(body).toMatchObject({ status: 'succeeded', attempt: 1 });
    expect(msBetween(body, 'started_at', 'completed_at')).toBeGreaterThanOrEqual(slowMs - 5);
    expect(answeredAtMs - Date.parse(String(body['completed_at']))).toBeLessThan(1_000);
    expect(headers.get('retry-after')).toBeNull();
  });

  test('a long poll that is over first tells the state of the job', async () => {
    const id = await submitted(submit('unserved', {}));
    const { status, body } = await read(id, '?wait=1');
    expect([status, body['status']]).toEqual([200, 'queued']);
  });
});

describe('canceling and deleting', () => {
  test('a queued job is canceled and never runs; who waits for it is told at once', async () => {
    const id = await submitted(submit('unserved', {}));
    const waiting = read(id, '?wait=30', one);
    // The wait has begun once the other gateway has answered for the same job.
    await read(id, '', one);
    const canceled = await cancel(id, { reason: 'user closed tab' });
    expect(canceled).toMatchObject({
      status: 200,
      body: {
        status: 'canceled',
        done: true,
        attempt: 0,
        started_at: null,
        error: { code: 'canceled_by_user', detail: 'user closed tab' },
      },
    });
    expect((await waiting).body).toEqual(canceled.body);
  });

  test('a running job is canceled at once, and its late result changes nothing', async () => {
    const id = await submitted(submit('slow', {}));
    await until(id, 'running');
    const { body } = await cancel(id);
    expect(body).toMatchObject({ status: 'canceled', attempt: 1, output: null });
    // A job behind it on the only slot: when it has ended, so has the canceled run.
    expect(await ended(one, await submitted(submit('slow', {})))).toMatchObject({
      status: 'succeeded',
    });
    expect((await read(id)).body).toEqual(body);
  });

  test('canceling a job that has ended changes nothing', async () => {
    const { body } = await submit('iris', {}, { prefer: 'wait=20' });
    expect(await cancel(String(body['id']))).toMatchObject({ status: 200, body });
    const id = await submitted(submit('unserved', {}));
    const first = await cancel(id);
    expect((await cancel(id, { reason: 'again' })).body).toEqual(first.body);
  });

  test('a job that has ended can be deleted and is gone everywhere; a live one cannot', async () => {
    const id = await submitted(submit('unserved', {}));
    expect(await erase(id)).toMatchObject({ status: 409, body: { code: 'not_terminal' } });
    await cancel(id);
    expect((await erase(id)).status).toBe(204);
    const gone = { status: 410, body: { code: 'job_gone', reason: 'deleted' } };
    for (const base of [one, other]) expect(await read(id, '', base)).toMatchObject(gone);
    expect(await cancel(id)).toMatchObject(gone);
    expect(await erase(id)).toMatchObject(gone);
  });

  test('a caller that closes its infer request takes its job with it', async () => {
    const before = await queued('unserved');
    const stop = new AbortController();
    const url = `${one}/v2/models/unserved/infer`;
    const held = fetch(url, { method: 'POST', body: JSON.stringify(rows), signal: stop.signal });
    const rejected = expect(held).rejects.toThrow(/abort/u);
    await waitFor(async () => (await queued('unserved')) === before + 1);
    stop.abort();
    await rejected;
    await waitFor(async () => (await queued('unserved')) === before);
  });

  async function queued(model: string): Promise<number> {
    const { body } = await call(`${other}/v1/models/${model}`);
    return (body['queue'] as { readonly queued: number }).queued;
  }
});

describe('time', () => {
  test.each([
    ['queue_timeout_ms', { queue_timeout_ms: 400 }, {}, 400],
    ['deadline_ms', { deadline_ms: 400 }, {}, 400],
    ['Cancel-After', {}, { 'cancel-after': '1s' }, 1_000],
  ])(
    'a job that is not started within its %s expires within a second',
    async (_name, body, headers, limitMs) => {
      const id = await submitted(submit('unserved', body, headers));
      // A wait is answered by the end itself; a plain look would end a late job by looking.
      const { body: job } = await read(id, '?wait=30');
      expect(job).toMatchObject({
        status: 'expired',
        attempt: 0,
        error: { code: 'queue_timeout' },
      });
      const tookMs = msBetween(job, 'created_at', 'completed_at');
      expect(tookMs).toBeGreaterThanOrEqual(limitMs);
      expect(tookMs).toBeLessThan(limitMs + 1_000);
    },
  );

  test('a job whose deadline passes while it runs fails within a second', async () => {
    const id = await submitted(submit('long', { deadline_ms: 300 }));
    const { body: job } = await read(id, '?wait=30');
    expect(job).toMatchObject({
      status: 'failed',
      attempt: 1,
      error: { code: 'deadline_exceeded', http_status: 504 },
    });
    expect(msBetween(job, 'deadline_at', 'completed_at')).toBeGreaterThanOrEqual(0);
    expect(msBetween(job, 'deadline_at', 'completed_at')).toBeLessThan(1_000);
  });

  test('a result is kept for its retention', async () => {
    const { body } = await submit('iris', { retention_ms: 300 }, { prefer: 'wait=20' });
    expect(msBetween(body, 'completed_at', 'expires_at')).toBe(300);
    const gone = await waitFor(async () => {
      const answer = await read(String(body['id']));
      return answer.status !== 200 && answer;
    });
    expect(gone).toMatchObject({ status: 410, body: { code: 'job_gone', reason: 'expired' } });
  });
});

describe('Idempotency-Key', () => {
  test('the same request again, also elsewhere, finds the job of the first', async () => {
    const key = { 'idempotency-key': '"order-42"' };
    const first = await submit('unserved', {}, key);
    expect(first.headers.get('idempotency-replayed')).toBeNull();
    const again = await submit('unserved', {}, key, other);
    expect(again).toMatchObject({ status: 202, body: { id: first.body['id'] } });
    expect(again.headers.get('idempotency-replayed')).toBe('true');
    const reused = await submit('unserved', { metadata: { order: '43' } }, key, other);
    expect(reused).toMatchObject({ status: 422, body: { code: 'idempotency_key_reused' } });
    // A key is one of a route and a model.
    const elsewhere = await submit('iris', {}, key, other);
    expect(elsewhere.status).toBe(202);
    expect(elsewhere.body['id']).not.toBe(first.body['id']);
  });

  test('a replay may wait for what the first did not, and the other way round', async () => {
    const key = { 'idempotency-key': 'wait-later' };
    const id = await submitted(submit('slow', {}, key));
    const waited = await submit('slow', {}, { ...key, prefer: 'wait=20' }, other);
    expect(waited).toMatchObject({ status: 200, body: { id, status: 'succeeded' } });
    const held = { 'idempotency-key': 'wait-first' };
    const first = await submit('unserved', {}, { ...held, prefer: 'wait=1' });
    const again = await submit('unserved', {}, held, other);
    expect(again).toMatchObject({ status: 202, body: { id: first.body['id'] } });
  });

  test('of many at once, at both gateways, one makes the job', async () => {
    const key = { 'idempotency-key': 'race' };
    const answers = await Promise.all(
      Array.from({ length: 12 }, (_, i) => submit('unserved', {}, key, i % 2 === 0 ? one : other)),
    );
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([202]));
    expect(new Set(answers.map(({ body }) => body['id'])).size).toBe(1);
    const replayed = answers.filter(
      ({ headers }) => headers.get('idempotency-replayed') === 'true',
    );
    expect(replayed).toHaveLength(11);
  });

  test('a refused request does not use its key up, a deleted job does', async () => {
    const key = { 'idempotency-key': 'second-try' };
    expect((await submit('unserved', { input: {} }, key)).status).toBe(422);
    const id = await submitted(submit('unserved', {}, key));
    await cancel(id);
    expect(await submit('unserved', {}, key, other)).toMatchObject({
      status: 200,
      body: { id, status: 'canceled' },
    });
    await erase(id);
    expect(await submit('unserved', {}, key, other)).toMatchObject({
      status: 410,
      body: { code: 'job_gone' },
    });
  });
});
