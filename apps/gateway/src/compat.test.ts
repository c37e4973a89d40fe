/** What v2 answers where it is to have Triton's statuses. */
import { afterEach, expect, test } from 'vitest';

import { type TestGateway, testGateway } from './gateway-fixture.test.ts';

let gateway: TestGateway | undefined;
afterEach(async () => {
  await gateway?.close();
  gateway = undefined;
});

const inputs = [{ name: 'features', datatype: 'FP32', shape: [1, 2], data: [1, 2] }];
const tooLate = {
  method: 'POST',
  headers: { 'Content-Type': 'application/json' },
  body: JSON.stringify({ inputs, parameters: { timeout: 20_000 } }),
};
const unavailable = () => Promise.resolve(undefined);

async function told(gateway: TestGateway, path: string, init?: RequestInit): Promise<unknown> {
  const response = await gateway.request(path, init);
  const { code, status } = (await response.json()) as { code?: string; status?: number };
  expect(status ?? response.status).toBe(response.status);
  return [response.status, code];
}

test('what is late is unavailable, and what is not ready a bad request', async () => {
  gateway = testGateway({}, { compat: 'triton' });
  expect(await told(gateway, '/v2/models/iris/infer', tooLate)).toEqual([503, 'queue_timeout']);
  expect(await told(gateway, '/v2/models/iris/ready')).toEqual([400, 'model_unavailable']);
  expect(await told(gateway, '/v2/models/iris/versions/1/ready')).toEqual([
    400,
    'model_unavailable',
  ]);
  expect(await told(gateway, '/v2/models/nobody/ready')).toEqual([404, 'model_not_found']);
  gateway.queue.ping = unavailable;
  expect(await told(gateway, '/v2/health/ready')).toEqual([400, 'queue_unavailable']);
  // Probes of this server's own are no part of it.
  expect(await told(gateway, '/readyz')).toEqual([503, 'queue_unavailable']);
  await gateway.gateway.drain();
  expect(await told(gateway, '/v2/health/ready')).toEqual([503, 'draining']);
});

test('otherwise they have statuses of their own', async () => {
  gateway = testGateway();
  expect(await told(gateway, '/v2/models/iris/infer', tooLate)).toEqual([504, 'queue_timeout']);
  expect(await told(gateway, '/v2/models/iris/ready')).toEqual([503, 'model_unavailable']);
  gateway.queue.ping = unavailable;
  expect(await told(gateway, '/v2/health/ready')).toEqual([503, 'queue_unavailable']);
});

test('what is over a quota is unavailable too', async () => {
  gateway = testGateway(
    { queueDepthPerTenantMax: 0 },
    { compat: 'triton', tenants: new Map([['acme', 1]]) },
  );
  const headers = { ...tooLate.headers, 'Inferry-Tenant': 'acme' };
  const init = { ...tooLate, headers };
  expect(await told(gateway, '/v2/models/iris/infer', init)).toEqual([503, 'quota_exceeded']);
});

test('the OpenAPI document tells the statuses that are answered', async () => {
  const opened = testGateway({}, { compat: 'triton' });
  gateway = opened;
  const statuses = async (path: string, method: string): Promise<readonly string[]> => {
    const document = (await (await opened.request('/openapi.json')).json()) as {
      paths: Record<string, Record<string, { responses: Record<string, unknown> } | undefined>>;
    };
    return Object.keys(document.paths[path]?.[method]?.responses ?? {});
  };
  const infer = await statuses('/v2/models/{model}/infer', 'post');
  expect(infer).toContain('503');
  expect(infer).not.toContain('504');
  expect(infer).not.toContain('429');
  expect(await statuses('/v2/models/{model}/ready', 'get')).toContain('400');
  expect(await statuses('/v1/models/{model}/jobs', 'post')).toContain('429');
});
