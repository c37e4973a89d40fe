/** Compressed requests and answers, and tensors behind JSON, through the routes. */
import { deflateSync, gunzipSync, gzipSync, inflateSync } from 'node:zlib';

import type { Tensor } from '@inferry/contracts';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';

import { startWorker, succeeded, testGateway } from '../gateway-fixture.test.ts';

const infer = '/v2/models/iris/infer';
const jsonLength = 'Inference-Header-Content-Length';
const features = { name: 'features', shape: [1, 2], datatype: 'FP32', data: [1, 2] };
const scores: Tensor = {
  name: 'scores',
  datatype: 'FP32',
  shape: [1, 3],
  bytes: new Uint8Array(Float32Array.of(0.25, 0.5, 0.25).buffer),
};
const bodyBytesMax = 100_000;

let fixture: ReturnType<typeof testGateway>;
let worker: ReturnType<typeof startWorker>;
beforeEach(() => {
  fixture = testGateway({ bodyBytesMax });
  worker = startWorker(fixture.queue, () => ({
    ...succeeded,
    output: { form: 'tensors', tensors: [scores] },
  }));
});
afterEach(async () => {
  await worker.stop();
  await fixture.close();
});

function post(body: Uint8Array<ArrayBuffer>, headers: Record<string, string>): Promise<Response> {
  return Promise.resolve(fixture.request(infer, { method: 'POST', headers, body }));
}

function bytesOf(value: unknown): Uint8Array<ArrayBuffer> {
  return new Uint8Array(Buffer.from(JSON.stringify(value)));
}

/** As long as it is wanted, and answered with its id. */
function longRequest(idChars: number): Uint8Array<ArrayBuffer> {
  return bytesOf({ id: 'x'.repeat(idChars), inputs: [features] });
}

describe('a compressed request', () => {
  test.each([
    ['gzip', gzipSync],
    ['x-gzip', gzipSync],
    ['deflate', deflateSync],
    ['GZIP', gzipSync],
  ])('in %s is read', async (coding, pack) => {
    const body = new Uint8Array(pack(longRequest(5_000)));
    const response = await post(body, { 'Content-Encoding': coding });
    expect(response.status).toBe(200);
    expect(await response.json()).toMatchObject({ id: 'x'.repeat(5_000) });
  });

  test('may hold binary tensors: the length of the JSON is that before it was compressed', async () => {
    const json = bytesOf({
      inputs: [{ ...features, data: undefined, parameters: { binary_data_size: 8 } }],
    });
    const whole = Buffer.concat([json, new Uint8Array(Float32Array.of(1, 2).buffer)]);
    const headers = { 'Content-Encoding': 'gzip', [jsonLength]: String(json.length) };
    expect((await post(new Uint8Array(gzipSync(whole)), headers)).status).toBe(200);
  });

  test('that unpacks to more than the limit is refused, however small it came', async () => {
    const body = new Uint8Array(gzipSync(longRequest(bodyBytesMax)));
    expect(body.length).toBeLessThan(1_000);
    const response = await post(body, { 'Content-Encoding': 'gzip' });
    expect(response.status).toBe(413);
    expect(await response.json()).toMatchObject({ limit_bytes: bodyBytesMax });
  });

  test('is unpacked in its turn, and refused where too many wait', async () => {
    const few = testGateway({ bodyBytesMax: 1024 * 1024, arrivingBodiesMax: 1 });
    const body = new Uint8Array(gzipSync(Buffer.alloc(1_000_000, 'x')));
    const headers = { 'Content-Encoding': 'gzip' };
    const statusOf = async (): Promise<number> =>
      (await few.request(infer, { method: 'POST', headers, body })).status;
    const statuses = await Promise.all(Array.from({ length: 20 }, statusOf));
    expect(new Set(statuses)).toContain(503);
    expect(await statusOf(), 'once the others have gone: read, and no JSON').toBe(400);
    await few.close();
  });

  test.each(['gzip', 'deflate'])(
    'that is no %s data, or ends too early, is refused',
    async (coding) => {
      const whole = new Uint8Array(
        coding === 'gzip' ? gzipSync(longRequest(9)) : deflateSync(longRequest(9)),
      );
      for (const body of [longRequest(9), whole.subarray(0, -4), new Uint8Array()]) {
        const response = await post(new Uint8Array(body), { 'Content-Encoding': coding });
        expect(response.status).toBe(400);
        expect(await response.json()).toMatchObject({ code: 'invalid_header' });
      }
    },
  );
});

describe('an answer', () => {
  test.each([
    ['gzip', 'gzip', gunzipSync],
    ['deflate', 'deflate', inflateSync],
    ['br;q=1, deflate;q=0.5, gzip;q=0.8', 'gzip', gunzipSync],
  ])('to a caller that accepts %s is packed in %s', async (accepted, coding, unpack) => {
    const response = await post(longRequest(5_000), { 'Accept-Encoding': accepted });
    expect(response.headers.get('content-encoding')).toBe(coding);
    expect(response.headers.get('vary')).toBe('Accept-Encoding');
    const bytes = unpack(Buffer.from(await response.arrayBuffer()));
    expect(JSON.parse(bytes.toString())).toMatchObject({ id: 'x'.repeat(5_000) });
  });

  test.each([
    ['that is small', 10, 'gzip'],
    ['nobody wants packed', 5_000, 'identity'],
    ['to a caller that refuses it', 5_000, 'gzip;q=0'],
    ['to a caller that prefers it so', 5_000, 'gzip;q=0.5, identity'],
    ['to a caller that names no coding of ours', 5_000, 'br, *;q=0.1'],
  ])('%s goes as it is', async (_, idChars, accepted) => {
    const response = await post(longRequest(idChars), { 'Accept-Encoding': accepted });
    expect(response.headers.get('content-encoding')).toBeNull();
    expect(response.status).toBe(200);
  });

  test('has the wanted outputs behind its JSON, and says how long the JSON is', async () => {
    const body = bytesOf({ inputs: [features], parameters: { binary_data_output: true } });
    const response = await post(body, {});
    expect(response.headers.get('content-type')).toBe('application/octet-stream');
    const length = Number(response.headers.get(jsonLength));
    const bytes = Buffer.from(await response.arrayBuffer());
    expect(JSON.parse(bytes.subarray(0, length).toString())).toMatchObject({
      outputs: [{ name: 'scores', parameters: { binary_data_size: 12 } }],
    });
    expect([...bytes.subarray(length)]).toEqual([...scores.bytes]);
  });

  test('of a raw request is binary too', async () => {
    const body = new Uint8Array(Float32Array.of(1, 2).buffer);
    const response = await post(body, { [jsonLength]: '0' });
    expect(response.status).toBe(200);
    expect(Number(response.headers.get(jsonLength))).toBeGreaterThan(0);
  });

  test('to a job is JSON: tensors behind it are spoken in v2 alone', async () => {
    const outputs = [{ name: 'count', parameters: { binary_data: true } }];
    const response = await fixture.request('/v1/models/iris/jobs', {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify({ input: { inputs: [features], outputs } }),
    });
    expect(response.status).toBe(422);
  });
});
