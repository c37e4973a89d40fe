/** The spans of requests, and what jobs carry of them. */
import { createLogger, openTracing, type Tracing } from '@inferry/telemetry';
import { systemClock } from '@inferry/runtime';
import { expect, test } from 'vitest';
import { startWorker, testGateway } from './gateway-fixture.test.ts';
import { image, openGrpc, service, workFor } from './grpc/grpc-fixture.test.ts';

const traceId = '0af7651916cd43dd8448eb211c80319c';
const traceparent = `00-${traceId}-b7ad6b7169203331-01`;
const json = { 'Content-Type': 'application/json' };
const body = '{"input":{"length":1,"width":2}}';
const submit = (headers: Record<string, string> = {}) => ({
  method: 'POST',
  body,
  headers: { ...json, Prefer: 'wait=5', ...headers },
});

interface SeenSpan {
  readonly name: string;
  readonly spanId: string;
  readonly parentId: string | undefined;
  readonly attributes: Readonly<Record<string, unknown>>;
}

async function collecting(): Promise<{
  readonly tracing: Tracing;
  /** Ends the tracing. */
  readonly spans: () => Promise<readonly SeenSpan[]>;
}> {
  const seen: SeenSpan[] = [];
  const opened = await openTracing({
    env: { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://collector', OTEL_TRACES_SAMPLER_ARG: '0' },
    role: 'gateway',
    version: '0',
    instanceId: 'g',
    system: 'memory',
    clock: systemClock,
    logger: createLogger({ role: 'gateway', level: 'silent' }),
    exporter: {
      export(spans, done) {
        for (const span of spans) {
          const { name, attributes } = span;
          const { spanId } = span.spanContext();
          seen.push({ name, spanId, parentId: span.parentSpanContext?.spanId, attributes });
        }
        done({ code: 0 });
      },
      shutdown: () => Promise.resolve(),
    },
  });
  if (!opened.ok || opened.value === undefined) throw new Error('tracing is on');
  const tracing = opened.value;
  const spans = async (): Promise<readonly SeenSpan[]> => {
    await tracing.close();
    return seen;
  };
  return { tracing, spans };
}

test('a job carries the context of the span that sent it', async () => {
  const { tracing, spans } = await collecting();
  const gateway = testGateway({}, { tracing });
  const worker = startWorker(gateway.queue);
  const headers = { traceparent, tracestate: 'vendor=1' };
  const answer = await gateway.request('/v1/models/iris/jobs', submit(headers));
  expect(answer.status).toBe(200);
  expect([...answer.headers.keys()].filter((name) => name.startsWith('trace'))).toEqual([]);
  await worker.stop();
  await gateway.close();
  const [server, sent, ...others] = (await spans()).toSorted((a, b) => (a.name < b.name ? -1 : 1));
  expect(others).toEqual([]);
  expect(server).toMatchObject({ name: 'POST /v1/models/{model}/jobs' });
  expect(sent).toMatchObject({ name: 'send iris@1', parentId: server?.spanId });
  expect(worker.seen[0]?.claim.job.trace).toEqual({
    traceparent: `00-${traceId}-${sent?.spanId}-01`,
    tracestate: 'vendor=1',
  });
});

test('requests without a job have a span of their route; what is not served has no path in its name', async () => {
  const { tracing, spans } = await collecting();
  const gateway = testGateway({}, { tracing });
  const headers = { traceparent };
  await gateway.request('/v1/models?secret=1', { headers });
  await gateway.request('/v1/jobs/job_none?wait=1', { headers });
  await gateway.request('/nowhere/at/all', { headers });
  await gateway.request('/v1/models/iris/jobs', { method: 'PUT', headers });
  await gateway.close();
  const seen = await spans();
  expect(seen.map(({ name }) => name)).toEqual([
    'GET /v1/models',
    'GET /v1/jobs/{id}',
    'GET',
    'PUT /v1/models/{model}/jobs',
  ]);
  expect(JSON.stringify(seen)).not.toMatch(/secret|nowhere/u);
});

test('a job that the queue does not take is an error of its span and of the request', async () => {
  const { tracing, spans } = await collecting();
  const gateway = testGateway({ queueDepthPerClassMax: 1 }, { tracing });
  const headers = { ...json, traceparent };
  const post = () => gateway.request('/v1/models/iris/jobs', { method: 'POST', body, headers });
  expect((await post()).status).toBe(202);
  expect((await post()).status).toBe(503);
  await gateway.close();
  const failed = (await spans()).filter(({ attributes }) => 'error.type' in attributes);
  expect(failed.map(({ name, attributes }) => [name, attributes['error.type']])).toEqual([
    ['send iris@1', 'queue_full'],
    ['POST /v1/models/{model}/jobs', 'queue_full'],
  ]);
});

test('a request that its caller does not sample carries that on, and leaves no span', async () => {
  const { tracing, spans } = await collecting();
  const gateway = testGateway({}, { tracing });
  const worker = startWorker(gateway.queue);
  const headers = { traceparent: traceparent.replace(/01$/u, '00') };
  await gateway.request('/v1/models/iris/jobs', submit(headers));
  await worker.stop();
  await gateway.close();
  expect(await spans()).toEqual([]);
  const { trace } = worker.seen[0]?.claim.job ?? {};
  expect(trace?.traceparent).toMatch(new RegExp(`^00-${traceId}-[0-9a-f]{16}-00$`, 'u'));
});

test('where tracing is off, no header is looked at and jobs carry nothing', async () => {
  const gateway = testGateway();
  const worker = startWorker(gateway.queue);
  await gateway.request('/v1/models/iris/jobs', submit({ traceparent }));
  await worker.stop();
  await gateway.close();
  expect(worker.seen).toHaveLength(1);
  expect(worker.seen[0]?.claim.job).not.toHaveProperty('trace');
});

test('a call of gRPC is a span of its method in the trace of its caller, and its job carries it on', async () => {
  const { tracing, spans } = await collecting();
  const gateway = await openGrpc({}, { tracing });
  const worker = workFor(gateway);
  const { error } = await gateway.call('ModelInfer', image(), { traceparent });
  expect(error).toBeNull();
  const all = await spans();
  const server = all.find(({ name }) => name === `POST ${service}/ModelInfer`);
  const sent = all.find(({ name }) => name === 'send digits@1');
  expect(server).toMatchObject({ parentId: 'b7ad6b7169203331' });
  expect(server?.attributes).toMatchObject({ 'http.response.status_code': 200 });
  expect(sent).toMatchObject({ parentId: server?.spanId });
  const carried = `00-${traceId}-${sent?.spanId}-01`;
  expect(worker.seen[0]?.claim.job.trace?.traceparent).toBe(carried);
});
