/** tidy-allow: one gateway, all of its routes. */
import { isJobId } from '@inferry/contracts';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';

import {
  claimRequest,
  startWorker,
  succeeded,
  type TestGateway,
  testGateway,
  type TestWorker,
} from './gateway-fixture.test.ts';

let gateway: TestGateway;
let worker: TestWorker | undefined;

beforeEach(() => {
  gateway = testGateway();
});
afterEach(async () => {
  await worker?.stop();
  worker = undefined;
  await gateway.close();
});

type Json = Record<string, unknown>;
const flower = { length: 5, width: 2 };
const jsonType = { 'Content-Type': 'application/json' };
const post = (body: unknown, headers: Record<string, string> = {}): RequestInit => ({
  method: 'POST',
  body: JSON.stringify(body),
  headers: { ...jsonType, ...headers },
});
const form = (body: FormData) => ({ method: 'POST', body, headers: { Prefer: 'wait=5' } });
const submitted = async (): Promise<string> => {
  const response = await gateway.request('/v1/models/iris/jobs', post({ input: flower }));
  return response.headers.get('location') ?? '';
};
const requestIdFor = async (id: string): Promise<string | null> => {
  const response = await gateway.request('/livez', { headers: { 'X-Request-Id': id } });
  return response.headers.get('request-id');
};
const read = async (response: Response): Promise<Json> => (await response.json()) as Json;
const unknownJob = `/v1/jobs/job_${'0'.repeat(26)}`;

async function expectProblem(response: Response, status: number, code: string): Promise<Json> {
  expect(response.headers.get('content-type')).toBe('application/problem+json');
  const body = await read(response);
  expect(body).toMatchObject({ status, code });
  expect(response.status).toBe(status);
  expect(body['request_id']).toBe(response.headers.get('request-id'));
  expect(response.headers.get('server-timing')).toMatch(/total;dur=\d/u);
  return body;
}

describe('a submit', () => {
  test('is answered 202 with the job, which can be read where Location says', async () => {
    const response = await gateway.request('/v1/models/iris/jobs', post({ input: flower }));
    expect(response.status).toBe(202);
    const job = await read(response);
    expect(job).toMatchObject({ status: 'queued', model: 'iris', queue: { ahead: 0 } });
    expect(isJobId(String(job['id']))).toBe(true);
    const location = response.headers.get('location') ?? '';
    expect(location).toBe(`/v1/jobs/${String(job['id'])}`);
    expect(response.headers.get('job-id')).toBe(job['id']);
    expect(response.headers.get('retry-after')).toBe('1');
    expect(response.headers.get('cache-control')).toBe('no-store');
    expect(await read(await gateway.request(location))).toEqual(job);
  });

  test('with Prefer: wait is answered 200 with the outcome and its stages', async () => {
    worker = startWorker(gateway.queue);
    const response = await gateway.request(
      '/v1/models/iris@1/jobs',
      post({ input: flower, metadata: { k: 'v' } }, { Prefer: 'wait=5' }),
    );
    expect(response.status).toBe(200);
    expect(await read(response)).toMatchObject({
      status: 'succeeded',
      output: { label: '7' },
      metadata: { k: 'v' },
    });
    expect(response.headers.get('preference-applied')).toBe('wait=5');
    expect(response.headers.get('x-batch-size')).toBe('4');
    expect(response.headers.get('x-queue-wait-ms')).toBe('1.0');
    expect(response.headers.get('x-overtaken-by')).toBe('0');
    expect(response.headers.get('server-timing')).toMatch(
      /^admission;dur=[\d.]+, queue_wait;dur=1.000, fetch;dur=2.000, preprocess;dur=3.000, batch_wait;dur=4.000, compute;dur=5.000, postprocess;dur=6.000, publish;dur=[\d.]+, total;dur=[\d.]+$/u,
    );
    expect(worker.seen[0]?.claim.job).toMatchObject({ mode: 'async', gateway: 'gw', rows: 1 });
    expect(worker.seen[0]?.input).toEqual({ form: 'pipeline', rows: [flower] });
  });

  test('whose job fails within the wait is answered 200 with the error in the job', async () => {
    const error = { code: 'model_error', detail: 'NaN' } as const;
    worker = startWorker(gateway.queue, () => ({
      ...succeeded,
      status: 'failed',
      output: null,
      error,
    }));
    const init = post({ input: flower }, { Prefer: 'wait' });
    const response = await gateway.request('/v1/models/iris/jobs', init);
    expect(response.status).toBe(200);
    expect(await read(response)).toMatchObject({
      status: 'failed',
      done: true,
      error: { code: 'model_error', http_status: 500, detail: 'NaN' },
    });
  });

  test('takes an image as base64, as multipart, or as the body itself', async () => {
    worker = startWorker(gateway.queue);
    const bytes = Uint8Array.of(0, 1, 2, 255);
    const reference = new FormData();
    reference.set('request', JSON.stringify({ input: { image: { $part: 'photo' } } }));
    reference.set('photo', new Blob([bytes], { type: 'image/png' }), 'photo.png');
    const fileOnly = new FormData();
    fileOnly.set('image', new Blob([bytes]), 'photo.png');
    const raw = (type: string) => ({
      method: 'POST',
      body: bytes,
      headers: { 'Content-Type': type, Prefer: 'wait=5' },
    });
    for (const init of [
      post({ input: { image: { $b64: 'AAEC/w==' } } }, { Prefer: 'wait=5' }),
      form(reference),
      form(fileOnly),
      raw('image/png'),
      raw('application/octet-stream'),
    ]) {
      const response = await gateway.request('/v1/models/digits/jobs', init);
      expect([response.status, (await read(response))['status']]).toEqual([200, 'succeeded']);
    }
    for (const { input } of worker.seen) {
      expect(input).toEqual({ form: 'pipeline', rows: [{ image: bytes }] });
    }
    expect(worker.seen).toHaveLength(5);
  });

  test('may name its model in the body', async () => {
    const init = post({ model: 'iris@1', input: flower });
    expect((await gateway.request('/v1/jobs', init)).status).toBe(202);
  });

  test('keeps what it asks for in the envelope', async () => {
    const options = { deadline_ms: 9000, queue_timeout_ms: 800, retention_ms: 4321 };
    const init = post({ input: flower, ...options }, { 'Cancel-After': '9s' });
    const job = await read(await gateway.request('/v1/models/iris/jobs', init));
    const created = Date.parse(String(job['created_at']));
    expect(Date.parse(String(job['deadline_at'])) - created).toBeCloseTo(9000, -1);
    worker = startWorker(gateway.queue);
    await gateway.request(`/v1/jobs/${String(job['id'])}?wait=5`);
    expect(worker.seen[0]?.claim.job).toMatchObject({
      mode: 'async',
      gateway: null,
      queueTimeoutMs: 800,
      retentionMs: 4321,
    });
  });

  test.each([
    ['an unknown model', '/v1/models/none/jobs', post({ input: flower }), 404, 'model_not_found'],
    [
      'an unknown version',
      '/v1/models/iris@7/jobs',
      post({ input: flower }),
      404,
      'model_version_not_found',
    ],
    [
      'a bad value',
      '/v1/models/iris/jobs',
      post({ input: { length: 'x', width: 1 } }),
      422,
      'invalid_input',
    ],
    [
      'an unknown member',
      '/v1/models/iris/jobs',
      post({ input: flower, priorities: 1 }),
      422,
      'unknown_field',
    ],
    [
      'no JSON',
      '/v1/models/iris/jobs',
      { method: 'POST', body: '{', headers: jsonType },
      400,
      'malformed_json',
    ],
    [
      'an unknown type',
      '/v1/models/iris/jobs',
      post({}, { 'Content-Type': 'text/csv' }),
      415,
      'unsupported_media_type',
    ],
    [
      'an encoding',
      '/v1/models/iris/jobs',
      post({}, { 'Content-Encoding': 'br' }),
      415,
      'unsupported_content_encoding',
    ],
    [
      'a broken multipart',
      '/v1/models/digits/jobs',
      post({}, { 'Content-Type': 'multipart/form-data; boundary=x' }),
      400,
      'malformed_multipart',
    ],
    [
      'a bad Cancel-After',
      '/v1/models/iris/jobs',
      post({ input: flower }, { 'Cancel-After': 'soon' }),
      400,
      'invalid_header',
    ],
    [
      'two deadlines',
      '/v1/models/iris/jobs',
      post({ input: flower, deadline_ms: 5 }, { 'Cancel-After': '9' }),
      422,
      'invalid_deadline',
    ],
    [
      'a bad key',
      '/v1/models/iris/jobs',
      post({ input: flower }, { 'Idempotency-Key': 'a b' }),
      400,
      'invalid_idempotency_key',
    ],
    ['an unknown job', unknownJob, {}, 404, 'job_not_found'],
    ['a malformed id', '/v1/jobs/1', {}, 404, 'job_not_found'],
    ['a bad wait', `${unknownJob}?wait=x`, {}, 400, 'invalid_query'],
    ['an unknown route', '/v1/nothing', {}, 404, 'route_not_found'],
    ['an unknown file', '/docs/assets/package.json', {}, 404, 'route_not_found'],
    ['infer of an unknown model', '/v2/models/none/infer', post({}), 404, 'model_not_found'],
    ['infer without inputs', '/v2/models/iris/infer', post({}), 400, 'invalid_input'],
    [
      'infer with more JSON than there is body',
      '/v2/models/iris/infer',
      post({}, { 'Inference-Header-Content-Length': '5' }),
      400,
      'invalid_header',
    ],
    ['readiness of a model no worker has', '/v2/models/iris/ready', {}, 503, 'model_unavailable'],
  ])('or request with %s gets a problem document', async (_, path, init, status, code) => {
    const body = await expectProblem(await gateway.request(path, init), status, code);
    expect(body['error']).toEqual(path.startsWith('/v2') ? body['detail'] : undefined);
  });

  test('beyond the depth of the queue is refused with Retry-After, and leaves nothing', async () => {
    for (let i = 0; i < 3; i += 1) {
      await gateway.request('/v1/models/iris/jobs', post({ input: flower }));
    }
    const init = post({ input: flower }, { 'Idempotency-Key': 'k' });
    const response = await gateway.request('/v1/models/iris/jobs', init);
    await expectProblem(response, 503, 'queue_full');
    expect(Number(response.headers.get('retry-after'))).toBeGreaterThan(0);
    worker = startWorker(gateway.queue);
    const again = post({ input: flower }, { 'Idempotency-Key': 'k', Prefer: 'wait=5' });
    const later = await gateway.request('/v1/models/iris/jobs', again);
    expect([later.status, later.headers.get('idempotency-replayed')]).toEqual([200, null]);
  });

  test('larger than the limit is refused, and the answer names the limit', async () => {
    const small = testGateway({ bodyBytesMax: 100 });
    const response = await small.request('/v1/models/iris/jobs', post('x'.repeat(200)));
    expect(await expectProblem(response, 413, 'payload_too_large')).toMatchObject({
      limit_bytes: 100,
    });
    await small.close();
  });
});

describe('a job', () => {
  test('is answered the moment it ends to those who wait', async () => {
    const path = await submitted();
    const waiting = gateway.request(`${path}?wait=20`);
    worker = startWorker(gateway.queue);
    const response = await waiting;
    expect(await read(response)).toMatchObject({
      status: 'succeeded',
      expires_at: expect.any(String),
    });
    expect(response.headers.get('retry-after')).toBeNull();
    const again = await gateway.request(path, { headers: { Prefer: 'wait=20' } });
    expect(again.headers.get('preference-applied')).toBe('wait=20');
  });

  test('is answered as it is when the wait elapses', async () => {
    const brief = testGateway({ waitMsMax: 20, waitMsDefault: 10 });
    const init = post({ input: flower }, { Prefer: 'wait' });
    const response = await brief.request('/v1/models/iris/jobs', init);
    expect(response.status).toBe(202);
    const read = await brief.request(`${response.headers.get('location') ?? ''}?wait=9`);
    expect([read.status, read.headers.get('preference-applied')]).toEqual([200, 'wait=0']);
    await brief.close();
  });

  test('is answered at once when too many requests are held', async () => {
    const narrow = testGateway({ heldRequestsMax: 0 });
    const init = post({ input: flower }, { Prefer: 'wait=30' });
    const response = await narrow.request('/v1/models/iris/jobs', init);
    expect([response.status, response.headers.get('preference-applied')]).toEqual([
      202,
      'respond-async',
    ]);
    const tensor = { name: 'features', datatype: 'FP32', shape: [1, 2], data: [1, 2] };
    const held = await narrow.request('/v2/models/iris/infer', post({ inputs: [tensor] }));
    await expectProblem(held, 503, 'queue_full');
    await narrow.close();
  });

  test('that is canceled stays canceled, and canceling again changes nothing', async () => {
    const path = await submitted();
    const cancel = (body?: unknown) =>
      gateway.request(`${path}/cancel`, body === undefined ? { method: 'POST' } : post(body));
    const first = await read(await cancel({ reason: 'closed the tab' }));
    expect(first).toMatchObject({
      status: 'canceled',
      error: { code: 'canceled_by_user', detail: 'closed the tab' },
    });
    expect(await read(await cancel())).toEqual(first);
    await expectProblem(await cancel({ why: 1 }), 422, 'unknown_field');
  });

  test('is removed only once it has ended, and is known to be gone after', async () => {
    const path = await submitted();
    const remove = () => gateway.request(path, { method: 'DELETE' });
    await expectProblem(await remove(), 409, 'not_terminal');
    await gateway.request(`${path}/cancel`, { method: 'POST' });
    expect((await remove()).status).toBe(204);
    await expectProblem(await remove(), 410, 'job_gone');
    expect(await expectProblem(await gateway.request(path), 410, 'job_gone')).toMatchObject({
      reason: 'deleted',
    });
    await expectProblem(
      await gateway.request(unknownJob, { method: 'DELETE' }),
      404,
      'job_not_found',
    );
  });
});

describe('infer', () => {
  const tensor = {
    name: 'features',
    datatype: 'FP32',
    shape: [2, 2],
    data: [
      [1, 2],
      [3, 4],
    ],
  };

  test('answers the tensors of the model, exact, with the id of the request', async () => {
    const bytes = new Uint8Array(new BigInt64Array([2n ** 62n + 1n, -1n]).buffer);
    const tensors = [{ name: 'count', datatype: 'INT64', shape: [2], bytes }] as const;
    worker = startWorker(gateway.queue, () => ({
      ...succeeded,
      output: { form: 'tensors', tensors },
    }));
    for (const path of ['/v2/models/iris/infer', '/v2/models/iris/versions/1/infer']) {
      const response = await gateway.request(path, post({ id: 'x', inputs: [tensor] }));
      expect(await response.text()).toBe(
        '{"model_name":"iris","model_version":"1","id":"x","outputs":[{"name":"count","datatype":"INT64","shape":[2],"data":[4611686018427387905,-1]}]}',
      );
      expect(response.headers.get('server-timing')).toContain('compute;dur=5.000');
    }
    expect(worker.seen[0]?.claim.job).toMatchObject({ rows: 2, mode: 'held' });
  });

  test('of images answers one JSON document an image', async () => {
    worker = startWorker(gateway.queue);
    const inputs = [{ name: 'image', datatype: 'BYTES', shape: [1], data: [{ b64: 'AA==' }] }];
    const response = await gateway.request('/v2/models/digits/infer', post({ inputs }));
    expect(await read(response)).toMatchObject({
      outputs: [{ name: 'output', datatype: 'BYTES', shape: [1], data: ['{"label":"7"}'] }],
    });
  });

  test('of a job that fails is answered with its error as a problem', async () => {
    const error = { code: 'input_rejected', detail: 'not an image' } as const;
    worker = startWorker(gateway.queue, () => ({
      ...succeeded,
      status: 'failed',
      output: null,
      error,
    }));
    const response = await gateway.request('/v2/models/iris/infer', post({ inputs: [tensor] }));
    await expectProblem(response, 400, 'input_rejected');
    expect(response.headers.get('job-id')).toMatch(/^job_/u);
  });

  test('is given up at its deadline', async () => {
    const init = post({ inputs: [tensor], parameters: { timeout: 20_000 } });
    const response = await gateway.request('/v2/models/iris/infer', init);
    const body = await read(response);
    expect(response.status).toBe(504);
    expect(body['code']).toBe('queue_timeout');
  });

  test('whose caller goes away cancels its job', async () => {
    const gone = new AbortController();
    const init = { ...post({ inputs: [tensor] }), signal: gone.signal };
    const answered = gateway.request('/v2/models/iris/infer', init);
    gone.abort();
    await expectProblem(await answered, 409, 'canceled_by_user');
    const { claims } = await gateway.queue.claim('iris@1' as never, claimRequest);
    expect(claims).toEqual([]);
  });
});

describe('the other routes', () => {
  test('tell of the models in the words of three kinds of clients', async () => {
    expect(await read(await gateway.request('/v1/models'))).toMatchObject({
      object: 'list',
      data: [{ id: 'digits' }, { id: 'iris', status: 'unavailable', queue: { queued: 0 } }],
      models: ['digits', 'iris'],
    });
    const model = await read(await gateway.request('/v1/models/iris'));
    expect(model).toMatchObject({ name: 'iris', ready: false, default_version: '1' });
    expect(model['model_version_status']).toMatchObject([{ version: '1', state: 'END' }]);
    expect(await read(await gateway.request('/v2/models'))).toEqual({ models: ['digits', 'iris'] });
    expect(await read(await gateway.request('/v2/models/iris/versions/1'))).toMatchObject({
      name: 'iris',
      versions: ['1'],
      inputs: [{ name: 'features', shape: [-1, 2] }],
    });
    expect(await read(await gateway.request('/v2'))).toMatchObject({ version: '9.9.9' });
  });

  test.each([
    ['/livez', { live: true }],
    ['/readyz', { ready: true }],
    ['/healthz', { ready: true }],
    ['/v2/health/live', { live: true }],
    ['/v2/health/ready', { ready: true }],
  ])('%s is well', async (path, body) => {
    expect(await read(await gateway.request(path))).toEqual(body);
  });

  test('serve the API page from here, under a policy that allows nothing else', async () => {
    const docs = await gateway.request('/docs');
    const policy = docs.headers.get('content-security-policy') ?? '';
    expect(policy).toContain("default-src 'none'");
    expect(policy).toContain("script-src 'self';");
    const text = await docs.text();
    expect(text).not.toMatch(/https?:\/\//u);
    const assets = [...text.matchAll(/(?:src|href)="(\/docs\/assets\/[^"]+)"/gu)];
    expect(assets.length).toBe(4);
    for (const [, path = ''] of assets) {
      expect([path, (await gateway.request(path)).status]).toEqual([path, 200]);
    }
    expect((await gateway.request('/')).headers.get('content-type')).toContain('text/html');
  });

  test('take their methods only, and say which those are', async () => {
    const response = await gateway.request('/v1/jobs', { method: 'PUT' });
    await expectProblem(response, 405, 'method_not_allowed');
    expect(response.headers.get('allow')).toBe('POST');
    expect((await gateway.request('/livez', { method: 'HEAD' })).status).toBe(200);
    const refused = await gateway.request('/v1/models', {
      method: 'OPTIONS',
      headers: { Origin: 'https://x.test' },
    });
    expect(refused.headers.get('access-control-allow-origin')).toBeNull();
  });

  test('are all in the OpenAPI document, and it has no other', async () => {
    const document = await read(await gateway.request('/openapi.json'));
    const described = Object.entries(document['paths'] as Record<string, Json>).flatMap(
      ([path, methods]) => Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`),
    );
    const registered = gateway.gateway.app.routes
      .filter(({ method }) => method !== 'ALL')
      .map(({ method, path }) => {
        // A segment with a verb behind its parameter is a parameter with a pattern to the router.
        const plain = path.replaceAll(/:(\w+)\{\[\^\/\]\+(:\w+)\}/gu, '{$1}$2');
        return `${method} ${plain.replaceAll(/\/:(\w+)/gu, '/{$1}')}`;
      });
    expect(described.toSorted()).toEqual(registered.toSorted());
  });

  test('echo a usable request id, and make one otherwise', async () => {
    expect(await requestIdFor('abc-1')).toBe('abc-1');
    expect(await requestIdFor('a b')).toMatch(/^req_[0-9a-z]{26}$/u);
  });

  test('are counted by pattern, decisions by their reason', async () => {
    await gateway.request('/v1/models/iris/jobs', post({ input: flower }));
    await gateway.request('/v1/models/none/jobs', post({ input: flower }));
    await gateway.request('/nowhere');
    const text = await gateway.metrics.text();
    expect(text).toContain('route="/v1/models/{model}/jobs",code="202"');
    expect(text).toContain('route="unmatched",code="404"');
    expect(text).toMatch(/admission_total\{model="iris",decision="accepted",reason="none"\} 1/u);
    expect(text).toMatch(
      /admission_total\{model="unknown",decision="rejected",reason="other"\} 1/u,
    );
    expect(text).toMatch(/inferry_http_requests_in_flight 0/u);
    expect(text).toMatch(/inferry_result_waiters 0/u);
  });
});
