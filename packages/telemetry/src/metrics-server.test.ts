import { afterEach, expect, test } from 'vitest';
import { type MetricsServer, startMetricsServer } from './metrics-server.ts';
import { createMetrics } from './metrics.ts';

let server: MetricsServer | undefined;
afterEach(async () => {
  await server?.close();
  server = undefined;
});

const metrics = createMetrics('gateway', { version: '0', revision: '', onnxruntime: 'none' });
let isAlive = true;
let readiness: { ready: boolean; reason?: string } = { ready: true };

async function start(registry: Pick<typeof metrics, 'text' | 'contentType'> = metrics) {
  server = await startMetricsServer({
    host: '127.0.0.1',
    port: 0,
    metrics: { ...metrics, ...registry },
    health: { livez: () => isAlive, readyz: () => readiness },
  });
  const { port } = server;
  return (path: string, init?: RequestInit) => fetch(`http://127.0.0.1:${port}${path}`, init);
}

test('/metrics answers with the exposition and its content type', async () => {
  const get = await start();
  const response = await get('/metrics?name=ignored');
  expect(response.status).toBe(200);
  expect(response.headers.get('content-type')).toBe('text/plain; version=0.0.4; charset=utf-8');
  const text = await response.text();
  expect(text).toContain('inferry_build_info{');
  expect(text.endsWith('\n')).toBe(true);
});

test('/livez and /readyz follow the state of the process', async () => {
  const get = await start();
  expect((await get('/livez')).status).toBe(200);
  expect((await get('/readyz')).status).toBe(200);
  isAlive = false;
  readiness = { ready: false, reason: 'no model is loaded' };
  expect((await get('/livez')).status).toBe(503);
  for (const path of ['/readyz', '/healthz']) {
    const response = await get(path);
    expect(response.status).toBe(503);
    expect(await response.json()).toEqual({ ready: false, reason: 'no model is loaded' });
  }
  isAlive = true;
  readiness = { ready: true };
});

test('other routes and methods are refused', async () => {
  const get = await start();
  expect((await get('/')).status).toBe(404);
  const posted = await get('/metrics', { method: 'POST', body: 'x' });
  expect([posted.status, posted.headers.get('allow')]).toEqual([405, 'GET, HEAD']);
});

test('an exposition that fails is a 500, and the server goes on', async () => {
  const get = await start({
    contentType: 'text/plain',
    text: () => Promise.reject(new Error('no')),
  });
  expect((await get('/metrics')).status).toBe(500);
  expect((await get('/livez')).status).toBe(200);
});

test('a port in use is an error, not a hang', async () => {
  await start();
  const port = server?.port ?? 0;
  const health = { livez: () => true, readyz: () => readiness };
  const second = startMetricsServer({ host: '127.0.0.1', port, metrics, health });
  await expect(second).rejects.toMatchObject({ code: 'EADDRINUSE' });
});

test('closing ends open connections', async () => {
  const get = await start();
  await (await get('/livez')).text();
  await server?.close();
  await expect(get('/livez')).rejects.toThrow('fetch failed');
});
