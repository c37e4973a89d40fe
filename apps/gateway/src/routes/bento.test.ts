/** A model called as a service of BentoML. */
import { afterEach, beforeEach, expect, test } from 'vitest';

import {
  startWorker,
  succeeded,
  type TestGateway,
  testGateway,
  type TestWorker,
} from '../gateway-fixture.test.ts';

let gateway: TestGateway;
let worker: TestWorker;

beforeEach(() => {
  gateway = testGateway();
  worker = startWorker(gateway.queue);
});
afterEach(async () => {
  await worker.stop();
  await gateway.close();
});

const bytes = Uint8Array.of(0, 1, 2, 255);
const json = (body: unknown) => ({
  body: JSON.stringify(body),
  headers: { 'Content-Type': 'application/json' },
});

test('an image comes as a file of a form, as the body, or in JSON, and its answer is the value', async () => {
  const body = new FormData();
  body.set('image', new Blob([bytes], { type: 'image/png' }), 'photo.png');
  for (const init of [
    { body },
    { body: bytes, headers: { 'Content-Type': 'image/png' } },
    json({ image: { b64: 'AAEC/w==' } }),
  ]) {
    const response = await gateway.request('/bento/digits', { method: 'POST', ...init });
    expect([response.status, await response.text()]).toEqual([200, '{"label":"7"}']);
    expect(response.headers.get('content-type')).toBe('application/json');
  }
  expect(worker.seen.map(({ input }) => input)).toEqual(
    Array.from({ length: 3 }, () => ({ form: 'pipeline', rows: [{ image: bytes }] })),
  );
  expect(worker.seen[0]?.claim.job).toMatchObject({ mode: 'held' });
});

test('lists are answered by a list, tensors by tensors', async () => {
  const tensor = {
    name: 'count',
    datatype: 'INT64',
    shape: [1],
    bytes: new Uint8Array(8),
  } as const;
  await worker.stop();
  worker = startWorker(gateway.queue, ({ form }) =>
    form === 'tensors' ? { ...succeeded, output: { form, tensors: [tensor] } } : succeeded,
  );
  const call = async (body: unknown): Promise<string> => {
    const response = await gateway.request('/bento/iris@1', { method: 'POST', ...json(body) });
    return response.text();
  };
  expect(await call({ length: [5], width: [2] })).toBe('[{"label":"7"}]');
  expect(await call({ features: [[5, 2]] })).toBe('[0]');
});

test.each([
  ['an unknown model', 'none', json({}), 404, 'model_not_found'],
  ['a list', 'iris', json([1]), 400, 'invalid_input'],
  [
    'a type that is not read',
    'iris',
    { body: 'a', headers: { 'Content-Type': 'text/csv' } },
    415,
    'unsupported_media_type',
  ],
  [
    'an image for a table',
    'iris',
    { body: bytes, headers: { 'Content-Type': 'image/png' } },
    415,
    'unsupported_media_type',
  ],
  [
    'a broken form',
    'digits',
    { body: 'x', headers: { 'Content-Type': 'multipart/form-data; boundary=x' } },
    400,
    'malformed_multipart',
  ],
])('%s is refused, with the detail also in the member error', async (...given) => {
  const [, model, init, status, code] = given;
  const response = await gateway.request(`/bento/${model}`, { method: 'POST', ...init });
  const document = (await response.json()) as Record<string, unknown>;
  expect([response.status, document['code']]).toEqual([status, code]);
  expect(document['error']).toBe(document['detail']);
});
