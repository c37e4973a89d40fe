/** TensorFlow Serving's and KServe V1's routes, as their clients call them. */
import { gunzipSync } from 'node:zlib';

import type { Outcome } from '@inferry/contracts';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';

import {
  claimRequest,
  startWorker,
  succeeded,
  type TestGateway,
  testGateway,
  type TestWorker,
} from '../gateway-fixture.test.ts';
import { digits, iris } from '../models-fixture.test.ts';

let gateway: TestGateway;
let worker: TestWorker | undefined;

/** A name with a dot, and two versions. */
const dotted = { ...iris, name: 'iris.v2' };
const later = { ...dotted, version: '2' };

beforeEach(() => {
  gateway = testGateway({}, { models: [digits, iris, dotted, later] });
});
afterEach(async () => {
  await worker?.stop();
  worker = undefined;
  await gateway.close();
});

const post = (path: string, body: unknown, more: RequestInit = {}): Promise<Response> =>
  gateway.request(path, { method: 'POST', body: JSON.stringify(body), ...more });
const read = async (response: Response) => (await response.json()) as Record<string, unknown>;
const rows = {
  instances: [
    [1, 2],
    [3, 4],
  ],
};
const counts: Outcome = {
  ...succeeded,
  output: {
    form: 'tensors',
    tensors: [
      {
        name: 'count',
        datatype: 'INT64',
        shape: [2],
        bytes: new Uint8Array(new BigInt64Array([2n ** 62n + 1n, -1n]).buffer),
      },
    ],
  },
};

describe('predict', () => {
  test('of rows is answered by rows, exactly, whatever media type the caller says', async () => {
    worker = startWorker(gateway.queue, () => counts);
    const headers = { 'Content-Type': 'text/plain' };
    for (const path of ['/v1/models/iris:predict', '/v1/models/iris/versions/1:predict']) {
      const response = await post(path, rows, { headers });
      expect(await response.text()).toBe('{"predictions":[4611686018427387905,-1]}');
      expect(response.status).toBe(200);
      expect(response.headers.get('content-type')).toBe('application/json');
      expect(response.headers.get('server-timing')).toContain('compute;dur=5.000');
      expect(response.headers.get('job-id')).toMatch(/^job_/u);
    }
    const columns = await post('/v1/models/iris@1:predict', { inputs: { features: [[1, 2]] } });
    expect(await columns.text()).toBe('{"outputs":[4611686018427387905,-1]}');
    expect(worker.seen[0]?.claim.job).toMatchObject({ rows: 2, mode: 'held' });
  });

  test('names a model as it is called, with dots and versions', async () => {
    const cases = [
      ['/v1/models/iris.v2:predict', 'iris.v2@2'],
      ['/v1/models/iris.v2@1:predict', 'iris.v2@1'],
      ['/v1/models/iris.v2/versions/1:predict', 'iris.v2@1'],
    ] as const;
    for (const [path, cls] of cases) {
      const gone = new AbortController();
      const answered = post(path, rows, { signal: gone.signal });
      await expect
        .poll(async () => (await gateway.queue.stats([cls as never]))[0]?.waiting)
        .toBe(1);
      gone.abort();
      expect((await answered).status).toBe(409);
    }
  });

  test('of images goes through the pipeline of the model', async () => {
    worker = startWorker(gateway.queue);
    const image = { b64: 'AAEC/w==' };
    const body = { instances: [image, { b64: 'AA==' }], signature_name: 'serving_default' };
    const response = await post('/v1/models/digits:predict', body);
    expect(await read(response)).toEqual({ predictions: [{ label: '7' }] });
    await post('/v1/models/digits:predict', { instances: [{ image }] });
    expect(worker.seen.map(({ input }) => input)).toEqual([
      {
        form: 'pipeline',
        rows: [{ image: Uint8Array.of(0, 1, 2, 255) }, { image: Uint8Array.of(0) }],
      },
      { form: 'pipeline', rows: [{ image: Uint8Array.of(0, 1, 2, 255) }] },
    ]);
  });

  test('whose caller goes away cancels its job', async () => {
    const gone = new AbortController();
    const answered = post('/v1/models/iris:predict', rows, { signal: gone.signal });
    gone.abort();
    expect(await read(await answered)).toMatchObject({ code: 'canceled_by_user' });
    const { claims } = await gateway.queue.claim('iris@1' as never, claimRequest);
    expect(claims).toEqual([]);
  });

  test('is given up at its time limit, and counted by its pattern', async () => {
    const body = { ...rows, parameters: { timeout: 20_000 } };
    const response = await post('/v1/models/iris:predict', body);
    expect(response.status).toBe(504);
    expect(await read(response)).toMatchObject({
      code: 'queue_timeout',
      error: expect.any(String),
    });
    await post('/v1/models/iris:predict', {});
    const text = await gateway.metrics.text();
    expect(text).toContain('route="/v1/models/{model}:predict",code="504"');
    expect(text).toMatch(/admission_total\{model="iris",decision="accepted",reason="none"\} 1/u);
  });

  test('is refused at a full queue, or becomes a job for those who would come back', async () => {
    const small = testGateway({ heldRequestsMax: 0 });
    const refused = await small.request('/v1/models/iris:predict', {
      method: 'POST',
      body: JSON.stringify(rows),
    });
    expect(refused.status).toBe(503);
    expect(await read(refused)).toMatchObject({ code: 'queue_full', error: expect.any(String) });
    expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(0);
    const deferred = await small.request('/v1/models/iris:predict', {
      method: 'POST',
      body: JSON.stringify(rows),
      headers: { Prefer: 'respond-async' },
    });
    expect(deferred.status).toBe(202);
    expect(deferred.headers.get('location')).toMatch(/^\/v1\/jobs\/job_/u);
    await small.close();
  });

  test('of a job that fails is answered with its error', async () => {
    const error = { code: 'model_error', detail: 'it threw' } as const;
    worker = startWorker(gateway.queue, () => ({
      ...succeeded,
      status: 'failed',
      output: null,
      error,
    }));
    const response = await post('/v1/models/iris:predict', rows);
    expect(response.status).toBe(500);
    expect(await read(response)).toMatchObject({ code: 'model_error', error: 'it threw' });
  });

  test('is compressed for who takes that', async () => {
    const many = Array.from({ length: 5_000 }, (_, i) => BigInt(i));
    const bytes = new Uint8Array(new BigInt64Array(many).buffer);
    const tensor = { name: 'count', datatype: 'INT64', shape: [1, 5_000], bytes } as const;
    const output = { form: 'tensors', tensors: [tensor] } as const;
    worker = startWorker(gateway.queue, () => ({ ...succeeded, output }));
    const headers = { 'Accept-Encoding': 'gzip' };
    const response = await post('/v1/models/iris:predict', { instances: [[1, 2]] }, { headers });
    expect(response.headers.get('content-encoding')).toBe('gzip');
    const text = gunzipSync(Buffer.from(await response.arrayBuffer())).toString();
    expect(JSON.parse(text)).toEqual({ predictions: [many.map(Number)] });
  });

  test.each([
    ['an unknown model', '/v1/models/none:predict', rows, 404, 'model_not_found'],
    [
      'an unknown version',
      '/v1/models/iris/versions/7:predict',
      rows,
      404,
      'model_version_not_found',
    ],
    [
      'a version that is said twice',
      '/v1/models/iris@1/versions/1:predict',
      rows,
      404,
      'model_not_found',
    ],
    ['neither format', '/v1/models/iris:predict', {}, 400, 'invalid_input'],
    ['an unknown member', '/v1/models/iris:predict', { ...rows, x: 1 }, 400, 'unknown_field'],
    ['a ragged row', '/v1/models/iris:predict', { instances: [[1]] }, 400, 'invalid_input'],
    ['no image', '/v1/models/digits:predict', { instances: ['x'] }, 400, 'invalid_input'],
    ['a bad example', '/v1/models/iris:classify', { examples: [{}] }, 400, 'invalid_input'],
    ['a verb that is not spoken', '/v1/models/iris:regress', rows, 405, 'method_not_allowed'],
    ['an unknown route', '/v1/models/iris/tags/a:predict', rows, 404, 'route_not_found'],
  ])('with %s is refused, with the detail also in the member error', async (...given) => {
    const [, path, body, status, code] = given;
    const response = await post(path, body);
    const document = await read(response);
    expect([response.status, document['code']]).toEqual([status, code]);
    expect(document['error']).toBe(document['detail']);
  });

  test('is not read', async () => {
    const response = await gateway.request('/v1/models/iris:predict');
    expect(response.headers.get('allow')).toBe('POST');
    expect(await read(response)).toMatchObject({
      code: 'method_not_allowed',
      error: '/v1/models/{model}:predict takes POST.',
    });
  });
});

test('classify answers labels with their scores', async () => {
  const top_k = [
    { label: '7', score: 0.75 },
    { label: '1', score: 0.25 },
  ];
  const output = { form: 'rows', rows: [{ label: '7', score: 0.75, top_k }] } as const;
  worker = startWorker(gateway.queue, () => ({ ...succeeded, output }));
  for (const path of ['/v1/models/iris:classify', '/v1/models/iris/versions/1:classify']) {
    const response = await post(path, { examples: [{ length: 5, width: 2 }] });
    expect(await response.text()).toBe('{"result":[[["7",0.75],["1",0.25]]]}');
  }
});

describe('the status of a model', () => {
  const statusOf = async (path: string) =>
    (await read(await gateway.request(path)))['model_version_status'];
  const status = { error_code: 'OK', error_message: '' };

  test('is that of all versions, the latest first, or of the one that is asked for', async () => {
    const one = { version: '1', state: 'END', status };
    const two = { version: '2', state: 'END', status };
    expect(await statusOf('/v1/models/iris.v2')).toEqual([two, one]);
    expect(await statusOf('/v1/models/iris.v2/versions/1')).toEqual([one]);
    expect(await statusOf('/v1/models/iris.v2@2')).toEqual([two]);
    const unknown = await gateway.request('/v1/models/iris/versions/7');
    expect(await read(unknown)).toMatchObject({ status: 404, error: expect.any(String) });
  });

  test('comes with what the model takes and gives', async () => {
    for (const path of ['/v1/models/iris/metadata', '/v1/models/iris/versions/1/metadata']) {
      expect(await read(await gateway.request(path))).toEqual({
        model_spec: { name: 'iris', signature_name: '', version: '1' },
        metadata: {
          signature_def: {
            signature_def: {
              serving_default: {
                inputs: {
                  features: {
                    dtype: 'DT_FLOAT',
                    tensor_shape: {
                      dim: [
                        { size: '-1', name: '' },
                        { size: '2', name: '' },
                      ],
                      unknown_rank: false,
                    },
                    name: 'features',
                  },
                },
                outputs: {
                  count: {
                    dtype: 'DT_INT64',
                    tensor_shape: { dim: [{ size: '-1', name: '' }], unknown_rank: false },
                    name: 'count',
                  },
                },
                method_name: 'tensorflow/serving/predict',
              },
            },
          },
        },
      });
    }
  });
});
