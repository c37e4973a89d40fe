/**
 * Every refusal is a problem document that says which, why, and whether and when to try again.
 * tidy-allow: one table, read top to bottom.
 */
import { rm } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { joinRepositories, writeSimulatedModel } from '../simulated-model.ts';
import {
  type Answer,
  call,
  demoModels,
  fixtureModels,
  postJson,
  type RunningRole,
  System,
} from '../system.ts';

const bodyBytesMax = 65_536;
const noSuchJob = 'job_01k0000000000000000000000a';
const iris = { sepal_length: 5.1, sepal_width: 3.5, petal_length: 1.4, petal_width: 0.2 };
const tensor = { name: 'x', shape: [1, 1], datatype: 'FP32', data: [1] };

/** What is expected of a refusal beside its status and code. */
interface Told {
  /** Pointer of the problem that is told first. */
  readonly pointer?: string;
  /** Further members of the body. */
  readonly body?: object;
  readonly headers?: Readonly<Record<string, RegExp>>;
}

type Case = readonly [
  name: string,
  send: (base: string) => Promise<Answer>,
  status: number,
  code: string,
  told?: Told,
];

const toIris =
  (body: unknown, headers: Record<string, string> = {}) =>
  (base: string) =>
    postJson(`${base}/v1/models/iris/jobs`, body, headers);

const post =
  (path: string, contentType: string, body: string, headers: Record<string, string> = {}) =>
  (base: string): Promise<Answer> =>
    call(base + path, {
      method: 'POST',
      headers: { 'content-type': contentType, ...headers },
      body,
    });

const jobs = '/v1/models/iris/jobs';
const json = 'application/json';
const tooLarge = 'x'.repeat(bodyBytesMax + 1);
const limit = { body: { limit_bytes: bodyBytesMax } };

/** A body whose size nobody declares. */
function chunked(base: string): Promise<Answer> {
  const body = new ReadableStream<Uint8Array>({
    start(controller) {
      for (let i = 0; i < 8; i += 1) controller.enqueue(new Uint8Array(bodyBytesMax / 4));
      controller.close();
    },
  });
  const headers = { 'content-type': 'image/png' };
  const init = { method: 'POST', headers, body, duplex: 'half' } as const;
  return call(`${base}/v1/models/digits/jobs`, init);
}

function form(parts: Readonly<Record<string, string | Blob>>): FormData {
  const data = new FormData();
  for (const [name, part] of Object.entries(parts)) data.append(name, part);
  return data;
}

const submitForm = (parts: Readonly<Record<string, string | Blob>>) => (base: string) =>
  call(`${base}/v1/models/digits/jobs`, { method: 'POST', body: form(parts) });

const cases: readonly Case[] = [
  ['a route that is not', (base) => call(`${base}/v1/nothing`), 404, 'route_not_found'],
  [
    'another method',
    (base) => call(base + jobs, { method: 'PUT' }),
    405,
    'method_not_allowed',
    { headers: { allow: /^POST$/u } },
  ],
  [
    'a model nobody knows',
    (base) => postJson(`${base}/v1/models/irsi/jobs`, {}),
    404,
    'model_not_found',
  ],
  [
    'a version nobody knows',
    (base) => postJson(`${base}/v1/models/iris@9/jobs`, {}),
    404,
    'model_version_not_found',
  ],
  ['a job that never was', (base) => call(`${base}/v1/jobs/${noSuchJob}`), 404, 'job_not_found'],
  ['a job id that is none', (base) => call(`${base}/v1/jobs/17`), 404, 'job_not_found'],
  [
    'a cancel of no job',
    (base) => postJson(`${base}/v1/jobs/${noSuchJob}/cancel`, {}),
    404,
    'job_not_found',
  ],
  [
    'a delete of no job',
    (base) => call(`${base}/v1/jobs/${noSuchJob}`, { method: 'DELETE' }),
    404,
    'job_not_found',
  ],
  [
    'a wait that is no number',
    (base) => call(`${base}/v1/jobs/${noSuchJob}?wait=soon`),
    400,
    'invalid_query',
  ],
  ['a body that is no JSON', post(jobs, json, '{"input":'), 400, 'malformed_json'],
  [
    'a form without its boundary',
    post(jobs, 'multipart/form-data', 'x'),
    400,
    'malformed_multipart',
  ],
  [
    'a Cancel-After nobody understands',
    toIris({ input: iris }, { 'cancel-after': 'soon' }),
    400,
    'invalid_header',
    { body: { header: 'Cancel-After' } },
  ],
  [
    'an Idempotency-Key with a space',
    toIris({ input: iris }, { 'idempotency-key': 'a b' }),
    400,
    'invalid_idempotency_key',
  ],
  [
    'headers that are too large',
    toIris({ input: iris }, { 'x-much': 'x'.repeat(20_000) }),
    431,
    'headers_too_large',
    { body: { limit_bytes: 16_384 } },
  ],
  ['a body that says it is too large', post(jobs, json, tooLarge), 413, 'payload_too_large', limit],
  ['a body that turns out too large', chunked, 413, 'payload_too_large', limit],
  [
    'a media type nobody reads',
    post(jobs, 'text/csv', '1,2'),
    415,
    'unsupported_media_type',
    { headers: { 'accept-post': /application\/json/u } },
  ],
  [
    'an image for a model that takes none',
    post(jobs, 'image/png', 'x'),
    415,
    'unsupported_media_type',
  ],
  [
    'a body compressed in a way that is not read',
    post(jobs, json, 'x', { 'content-encoding': 'br' }),
    415,
    'unsupported_content_encoding',
  ],
  [
    'a field nobody knows',
    toIris({ input: iris, deadlin_ms: 5 }),
    422,
    'unknown_field',
    { pointer: '#/deadlin_ms' },
  ],
  ['no input', toIris({}), 422, 'invalid_input', { pointer: '#/input' }],
  [
    'a column that is missing',
    toIris({ input: { ...iris, petal_width: undefined } }),
    422,
    'invalid_input',
    { pointer: '#/input/petal_width' },
  ],
  [
    'a column of another type',
    toIris({ input: { ...iris, petal_width: '0.2' } }),
    422,
    'invalid_input',
    { pointer: '#/input/petal_width' },
  ],
  [
    'a column beyond its limit',
    toIris({ input: { ...iris, petal_width: 101 } }),
    422,
    'invalid_input',
    { pointer: '#/input/petal_width', body: { detail: expect.stringContaining('at most 100') } },
  ],
  [
    'a column nobody knows',
    toIris({ input: { ...iris, colour: 1 } }),
    422,
    'invalid_input',
    { pointer: '#/input/colour' },
  ],
  [
    'base64 that is none',
    (base) => postJson(`${base}/v1/models/digits/jobs`, { input: { image: { $b64: '%%%' } } }),
    422,
    'invalid_input',
    { pointer: '#/input/image' },
  ],
  [
    'a part that is not there',
    submitForm({ request: '{"input":{"image":{"$part":"picture"}}}' }),
    422,
    'invalid_input',
    { pointer: '#/input/image' },
  ],
  ['a part nobody uses', submitForm({ image: new Blob(['x']), other: 'x' }), 422, 'invalid_input'],
  [
    'a deadline said twice, differently',
    toIris({ input: iris, deadline_ms: 1_000 }, { 'cancel-after': '5s' }),
    422,
    'invalid_deadline',
  ],
  [
    'a deadline beyond a day',
    toIris({ input: iris, deadline_ms: 86_400_001 }),
    422,
    'invalid_deadline',
    { pointer: '#/deadline_ms', body: { detail: expect.stringContaining('86400000') } },
  ],
  [
    'a queue timeout beyond the deadline',
    toIris({ input: iris, deadline_ms: 10, queue_timeout_ms: 11 }),
    422,
    'invalid_deadline',
    { pointer: '#/queue_timeout_ms' },
  ],
  [
    'too many attempts',
    toIris({ input: iris, max_attempts: 99 }),
    422,
    'invalid_input',
    { pointer: '#/max_attempts' },
  ],
  [
    'metadata that is too large',
    toIris({ input: iris, metadata: { note: 'x'.repeat(513) } }),
    422,
    'metadata_too_large',
  ],
];

/** On /v2 a 422 is a 400, and the member `error` says it again, as the clients of that protocol expect. */
const tensorCases: readonly Case[] = [
  [
    'a tensor of another datatype',
    infer('two_inputs', [{ ...tensor, name: 'a' }]),
    400,
    'invalid_input',
  ],
  ['a tensor that is missing', infer('identity_fp32', [tensor]), 400, 'invalid_input'],
  [
    'fewer elements than the shape says',
    infer('matrix', [{ ...tensor, shape: [2, 3] }]),
    400,
    'invalid_input',
    { pointer: '#/inputs/0/data' },
  ],
  [
    'a whole number that the datatype does not hold',
    infer('identity_int8', [{ ...tensor, datatype: 'INT8', shape: [1, 2], data: [1, 128] }]),
    400,
    'invalid_input',
    { pointer: '#/inputs/0/data' },
  ],
  [
    'more rows than a batch has',
    infer('picky', [{ ...tensor, datatype: 'INT64', shape: [9, 1], data: Array(9).fill(1) }]),
    400,
    'invalid_input',
  ],
  ['a model nobody knows', infer('nobody', [tensor]), 404, 'model_not_found'],
  [
    'more JSON than there is body',
    (base) =>
      postJson(`${base}/v2/models/matrix/infer`, {}, { 'inference-header-content-length': '5' }),
    400,
    'invalid_header',
  ],
  [
    'a model no worker has loaded',
    (base) => call(`${base}/v2/models/matrix/ready`),
    503,
    'model_unavailable',
  ],
  [
    'a deadline that passes',
    infer('matrix', [{ ...tensor, shape: [2, 3], data: [1, 2, 3, 4, 5, 6] }], { timeout: 100_000 }),
    504,
    'queue_timeout',
  ],
];

function infer(model: string, inputs: readonly object[], parameters = {}) {
  return (base: string) => postJson(`${base}/v2/models/${model}/infer`, { inputs, parameters });
}

function named(list: readonly Case[]) {
  return list.map(([name, send, status, code, told]) => ({ name, send, status, code, told }));
}

describe('a gateway, and no worker', () => {
  let system: System;
  let gateway: RunningRole;
  let models: string;

  beforeAll(async () => {
    const narrow = await writeSimulatedModel('narrow', {}, { queue: '{max_depth: 1}' });
    models = await joinRepositories([demoModels, fixtureModels, narrow]);
    system = await System.open({}, { INFERRY_MAX_BODY_BYTES: String(bodyBytesMax) });
    gateway = await system.start('gateway', models);
  }, 60_000);

  afterAll(async () => {
    await system.stop();
    await rm(models, { recursive: true });
  });

  test.each(named(cases))('refuses $name', async ({ send, status, code, told }) => {
    expectProblem(await send(gateway.url), status, code, told);
  });

  test.each(named(tensorCases))('refuses on /v2 $name', async ({ send, status, code, told }) => {
    const answer = await send(gateway.url);
    expectProblem(answer, status, code, told);
    expect(answer.body['error']).toBe(answer.body['detail']);
  });

  test('names all columns that are wrong at once', async () => {
    const input = { sepal_length: -1, sepal_width: 3.5, petal_length: 'long' };
    const { body } = await toIris({ input })(gateway.url);
    const errors = body['errors'] as readonly { readonly pointer: string }[];
    expect(errors.map(({ pointer }) => pointer)).toEqual([
      '#/input/sepal_length',
      '#/input/petal_length',
      '#/input/petal_width',
    ]);
  });

  test('a full queue refuses with 503 and says when to come back', async () => {
    const submit = (): Promise<Answer> =>
      postJson(`${gateway.url}/v1/models/narrow/jobs`, { input: { inputs: [tensor] } });
    expect((await submit()).status).toBe(202);
    const full = await submit();
    expectProblem(full, 503, 'queue_full');
    expect(full.body['retry_after_ms']).toBeGreaterThan(0);
  });

  test('the id a caller gives a request is the one it is told', async () => {
    const url = `${gateway.url}/v1/jobs/${noSuchJob}`;
    const { body, headers } = await call(url, { headers: { 'x-request-id': 'order-42.a' } });
    expect([headers.get('request-id'), body['request_id']]).toEqual(['order-42.a', 'order-42.a']);
    const odd = await call(url, { headers: { 'x-request-id': 'a b' } });
    expect(odd.body['request_id']).toMatch(/^req_/u);
  });
});

function expectProblem(answer: Answer, status: number, code: string, told: Told = {}): void {
  const { body, headers } = answer;
  expect([answer.status, body['code']], JSON.stringify(body)).toEqual([status, code]);
  expect(headers.get('content-type')).toBe('application/problem+json');
  expect(body).toMatchObject({
    type: `https://inferry.dev/problems/${code}`,
    title: expect.stringMatching(/./u),
    status,
    detail: expect.stringMatching(/./u),
    request_id: headers.get('request-id'),
    retryable: expect.any(Boolean),
    ...told.body,
  });
  expect(body['request_id']).toMatch(/./u);
  expect(headers.get('server-timing')).toMatch(/total;dur=/u);
  if (status === 503) expect(Number(headers.get('retry-after'))).toBeGreaterThanOrEqual(1);
  if (told.pointer !== undefined) {
    expect(body['errors'], JSON.stringify(body)).toMatchObject([{ pointer: told.pointer }]);
  }
  for (const [name, value] of Object.entries(told.headers ?? {})) {
    expect(headers.get(name), name).toMatch(value);
  }
}
