/** Traces of real processes, as a collector gets them: over OTLP/HTTP, from a receiver in this test. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { buffer } from 'node:stream/consumers';
import { freePort, startProcess, waitFor } from '@inferry/testkit';
import { afterEach, beforeEach, expect, onTestFinished, test } from 'vitest';
import { writeSimulatedModel } from '../simulated-model.ts';
import { call, postJson, readiness, System } from '../system.ts';

interface Link {
  readonly traceId: string;
  readonly spanId: string;
}

interface SeenSpan extends Link {
  readonly parentSpanId?: string;
  readonly name: string;
  readonly kind: number;
  readonly startTimeUnixNano: string;
  readonly endTimeUnixNano: string;
  readonly attributes: readonly {
    readonly key: string;
    readonly value: { readonly stringValue?: string; readonly intValue?: number };
  }[];
  readonly links?: readonly Link[];
}

interface Export {
  readonly resourceSpans: readonly {
    readonly resource: Pick<SeenSpan, 'attributes'>;
    readonly scopeSpans: readonly { readonly spans: readonly SeenSpan[] }[];
  }[];
}

/** Keeps what is posted to it. */
class Receiver {
  readonly bodies: { readonly type: string; readonly bytes: Buffer }[] = [];
  readonly #server: Server;

  private constructor() {
    this.#server = createServer((request, response) => void this.#take(request, response));
  }

  static async open(): Promise<Receiver> {
    const receiver = new Receiver();
    await new Promise<void>((resolve) => receiver.#server.listen(0, '127.0.0.1', resolve));
    return receiver;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async #take(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const type = request.headers['content-type'] ?? '';
    const bytes = await buffer(request);
    if (request.url === '/v1/traces') this.bodies.push({ type, bytes });
    response.writeHead(200, { 'Content-Type': type }).end(type.endsWith('json') ? '{}' : '');
  }

  /** With the service each is of. */
  spans(): readonly (SeenSpan & { readonly service: string })[] {
    return this.bodies
      .map(({ bytes }) => JSON.parse(bytes.toString()) as Export)
      .flatMap(({ resourceSpans }) => resourceSpans)
      .flatMap(({ resource, scopeSpans }) => {
        const service = attribute(resource, 'service.name') ?? '';
        return scopeSpans.flatMap(({ spans }) => spans.map((span) => ({ ...span, service })));
      });
  }

  close(): void {
    this.#server.closeAllConnections();
    this.#server.close();
  }
}

let receiver: Receiver;
beforeEach(async () => {
  receiver = await Receiver.open();
});
afterEach(() => receiver.close());

const tensors = { inputs: [{ name: 'x', shape: [1, 1], datatype: 'FP32', data: [1] }] };
const callerSpan = 'b7ad6b7169203331';
const jobTrace = '0af7651916cd43dd8448eb211c80319c';
const inferTrace = '1af7651916cd43dd8448eb211c80319c';
const unsampledTrace = '2af7651916cd43dd8448eb211c80319c';
const ports = { PORT: '0', METRICS_PORT: '0' };

const sampled = (trace: string) => ({ traceparent: `00-${trace}-${callerSpan}-01` });

const sendsAtEndOnly = { OTEL_BSP_SCHEDULE_DELAY: '600000' };

test('the spans of gateway and worker are in the trace of the caller; a drain sends them', async () => {
  const system = await System.open(
    {},
    {
      OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url,
      OTEL_EXPORTER_OTLP_PROTOCOL: 'http/json',
      // Nothing is recorded that the caller does not ask for.
      OTEL_TRACES_SAMPLER_ARG: '0',
      ...sendsAtEndOnly,
    },
  );
  onTestFinished(() => system.stop());
  const models = await writeSimulatedModel('echo', { run_ms: 5 });
  const gateway = await system.start('gateway', models);
  const worker = await system.start('worker', models);
  const headers = { prefer: 'wait=20', tracestate: 'vendor=1', ...sampled(jobTrace) };
  const jobs = `${gateway.url}/v1/models/echo/jobs`;
  const job = await postJson(jobs, { input: tensors }, headers);
  expect(job).toMatchObject({ status: 200, body: { status: 'succeeded' } });
  expect(job.headers.has('traceparent')).toBe(false);
  const id = String(job.body['id']);
  const poll = await call(`${gateway.url}/v1/jobs/${id}?wait=1`, { headers: sampled(jobTrace) });
  expect(poll.status).toBe(200);
  const infer = `${gateway.url}/v2/models/echo/infer`;
  const unsampled = { traceparent: `00-${unsampledTrace}-${callerSpan}-00` };
  for (const sent of [sampled(inferTrace), unsampled, {}]) {
    expect((await postJson(infer, tensors, sent)).status).toBe(200);
  }
  expect(receiver.bodies).toEqual([]);
  await Promise.all([gateway.process.stop(), worker.process.stop()]);

  const spans = receiver.spans();
  const shown = (trace: string) =>
    spans
      .filter(({ traceId }) => traceId === trace)
      .map(({ service, name }) => `${service} ${name}`)
      .toSorted();
  const ofEachJob = [
    'inferry-gateway send echo@1',
    'inferry-worker batch_wait',
    'inferry-worker compute',
    'inferry-worker fetch',
    'inferry-worker postprocess',
    'inferry-worker preprocess',
    'inferry-worker process echo@1',
    'inferry-worker publish',
  ];
  expect(shown(jobTrace)).toEqual([
    'inferry-gateway GET /v1/jobs/{id}',
    'inferry-gateway POST /v1/models/{model}/jobs',
    ...ofEachJob,
  ]);
  expect(shown(inferTrace)).toEqual([
    'inferry-gateway POST /v2/models/{model}/infer',
    ...ofEachJob,
  ]);
  const batches = spans.filter(({ name }) => name === 'batch echo');
  expect(spans).toHaveLength(2 + 2 * ofEachJob.length + 1 + batches.length);

  const find = (name: string): SeenSpan => {
    const found = spans.find((span) => span.traceId === jobTrace && span.name === name);
    if (found === undefined) throw new Error(`there is no span ${name}`);
    return found;
  };
  const server = find('POST /v1/models/{model}/jobs');
  const sent = find('send echo@1');
  const processed = find('process echo@1');
  expect(server.parentSpanId).toBe(callerSpan);
  expect(sent.parentSpanId).toBe(server.spanId);
  expect(processed.parentSpanId).toBe(sent.spanId);
  expect(attribute(processed, 'messaging.message.id')).toBe(id);
  const stages = spans.filter(({ parentSpanId }) => parentSpanId === processed.spanId);
  const at = (nanos: string): bigint => BigInt(nanos);
  for (const { startTimeUnixNano, endTimeUnixNano } of stages) {
    expect(at(startTimeUnixNano)).toBeGreaterThanOrEqual(at(processed.startTimeUnixNano));
    expect(at(endTimeUnixNano)).toBeLessThanOrEqual(at(processed.endTimeUnixNano));
    expect(at(endTimeUnixNano)).toBeGreaterThanOrEqual(at(startTimeUnixNano));
  }
  const linked = batches.flatMap(({ links = [] }) => links.map(({ spanId }) => spanId));
  expect(linked).toHaveLength(2);
  expect(linked).toContain(processed.spanId);
});

test('serve without Redis traces too, and sends protocol buffers unless told otherwise', async () => {
  await using serve = startProcess(['serve', await writeSimulatedModel('echo', { run_ms: 5 })], {
    env: {
      ...ports,
      OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url,
      ...sendsAtEndOnly,
      INFERRY_METRICS_FORMAT: 'openmetrics',
    },
  });
  const { metricsUrl, url } = await readiness(serve, 'serve');
  const answer = await postJson(`${url}/v2/models/echo/infer`, tensors, sampled(inferTrace));
  expect(answer.status).toBe(200);
  const exemplar = new RegExp(
    `inferry_request_duration_seconds_bucket.* # .trace_id="${inferTrace}"`,
    'u',
  );
  // The worker counts a job after its gateway was told.
  const hasExemplar = async (): Promise<boolean> =>
    exemplar.test(await (await fetch(`${metricsUrl}/metrics`)).text());
  await waitFor(hasExemplar, { what: 'an exemplar' });
  await serve.stop();
  expect(receiver.bodies.map(({ type }) => type)).toEqual(['application/x-protobuf']);
  const bytes = Buffer.concat(receiver.bodies.map((body) => body.bytes));
  expect(bytes.includes(Buffer.from(inferTrace, 'hex'))).toBe(true);
  const text = bytes.toString('latin1');
  for (const name of ['send echo@1', 'process echo@1', 'batch echo', 'compute', 'memory']) {
    expect(text).toContain(name);
  }
});

test('a collector that is away is told once, and changes nothing else', async () => {
  await using serve = startProcess(['serve', await writeSimulatedModel('echo', { run_ms: 5 })], {
    env: {
      ...ports,
      OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${await freePort()}`,
      OTEL_EXPORTER_OTLP_TIMEOUT: '100',
      OTEL_BSP_SCHEDULE_DELAY: '20',
    },
  });
  const { url } = await readiness(serve, 'serve');
  const infer = async (): Promise<void> => {
    const answer = await postJson(`${url}/v2/models/echo/infer`, tensors, sampled(inferTrace));
    expect(answer.status).toBe(200);
  };
  await infer();
  await serve.waitForLine(/spans cannot be sent/u);
  for (let i = 0; i < 5; i += 1) await infer();
  expect((await serve.stop()).code).toBe(0);
  const warnings = serve.logs().filter(({ level }) => level === 'warn');
  expect(warnings.map(({ msg }) => msg)).toEqual(['spans cannot be sent and are dropped']);
});

test('a variable that cannot be read stops the start', async () => {
  await using serve = startProcess(['serve', 'models'], {
    env: { ...ports, OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url, OTEL_TRACES_SAMPLER: 'some' },
  });
  expect((await serve.exit).code).toBe(2);
  expect(serve.lines.join('\n')).toMatch(/OTEL_TRACES_SAMPLER must be one of always_on, /u);
});

function attribute(of: Pick<SeenSpan, 'attributes'>, name: string): string | undefined {
  return of.attributes.find(({ key }) => key === name)?.value.stringValue;
}
