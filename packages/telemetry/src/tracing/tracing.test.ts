import { systemClock, VirtualClock } from '@inferry/runtime';
import { SpanKind, SpanStatusCode } from '@opentelemetry/api';
import { ExportResultCode } from '@opentelemetry/core';
import {
  InMemorySpanExporter,
  type ReadableSpan,
  type SpanExporter,
} from '@opentelemetry/sdk-trace-base';
import { beforeEach, describe, expect, test } from 'vitest';
import { createLogger } from '../logger.ts';
import { openTracing } from './open-tracing.ts';
import type { ClaimedJob, JobSpan, RequestSpan, Tracing } from './tracing.ts';

const caller = {
  traceId: '0af7651916cd43dd8448eb211c80319c',
  spanId: 'b7ad6b7169203331',
  sampled: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
  unsampled: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00',
};
const startMs = 1_700_000_000_000;

let exporter: KeptSpans;
let logged: string[];
beforeEach(() => {
  exporter = new KeptSpans();
  logged = [];
});

/** Keeps what it was given also after its end. */
class KeptSpans extends InMemorySpanExporter {
  override shutdown(): Promise<void> {
    return Promise.resolve();
  }
}

async function open(env: Record<string, string> = {}, into: SpanExporter = exporter) {
  const destination = { write: (line: string) => void logged.push(line) };
  const opened = await openTracing({
    env: { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://collector:4318', ...env },
    role: 'worker',
    version: '1.2.3',
    instanceId: 'w1',
    system: 'bullmq',
    clock: systemClock,
    logger: createLogger({ role: 'worker', level: 'info', destination }),
    exporter: into,
  });
  if (!opened.ok || opened.value === undefined) throw new Error('tracing is on');
  return opened.value;
}

function requestOf(tracing: Tracing, headers: Record<string, string> = {}): RequestSpan {
  const request = { method: 'POST', header: (name: string) => headers[name] };
  return tracing.request(request, startMs);
}

const iris = {
  id: 'job-1',
  class: 'iris@1',
  model: 'iris',
  priority: 'normal',
  rows: 2,
} as const;

function send(request: RequestSpan, code: string | null = null, id: string = iris.id) {
  const sent = request.send({ ...iris, id, payloadBytes: 64, startedAtMs: startMs + 1 });
  sent.end(startMs + 2, code);
  return sent.context;
}

function end(request: RequestSpan, status = 200, code: string | null = null): void {
  request.end({ route: '/v1/models/{model}/jobs', status, code, endedAtMs: startMs + 9 });
}

function claim(tracing: Tracing, job: Partial<ClaimedJob> = {}): JobSpan | undefined {
  return tracing.claimed({
    ...iris,
    trace: { traceparent: caller.sampled, tracestate: null },
    attempt: 1,
    releaseReason: 'full',
    queueWaitMs: 1.5,
    claimedAtMs: startMs + 3,
    ...job,
  });
}

function settle(span: JobSpan | undefined): void {
  const stage = { name: 'compute', startedAtMs: startMs + 4, endedAtMs: startMs + 6.25 };
  span?.end({ outcome: 'succeeded', errorType: null, stages: [stage], endedAtMs: startMs + 8 });
}

function run(tracing: Tracing, jobs: readonly (JobSpan | undefined)[]): void {
  tracing.ran({
    class: iris.class,
    model: iris.model,
    jobs: jobs.flatMap((job) => job ?? []),
    items: jobs.length,
    rows: jobs.length * iris.rows,
    errorType: null,
    startedAtMs: startMs + 4,
    endedAtMs: startMs + 6,
  });
}

/** All spans, once tracing has ended. */
async function spansOf(tracing: Tracing): Promise<readonly ReadableSpan[]> {
  await tracing.close();
  return exporter.getFinishedSpans();
}

function named(spans: readonly ReadableSpan[], name: string): ReadableSpan {
  const found = spans.find((span) => span.name === name);
  if (found === undefined) throw new Error(`${name} is not in ${spans.map((s) => s.name).join()}`);
  return found;
}

describe('a traced request', () => {
  test('and its job share the trace of the caller, each the child of the one before', async () => {
    const tracing = await open();
    const request = requestOf(tracing, {
      traceparent: caller.sampled,
      tracestate: 'vendor=1',
    });
    const trace = send(request);
    expect(trace.tracestate).toBe('vendor=1');
    const job = claim(tracing, { trace });
    settle(job);
    end(request);
    const spans = await spansOf(tracing);
    const [server, sent, processed, compute] = [
      named(spans, 'POST /v1/models/{model}/jobs'),
      named(spans, 'send iris@1'),
      named(spans, 'process iris@1'),
      named(spans, 'compute'),
    ];
    expect(spans.map((span) => span.spanContext().traceId)).toEqual(
      spans.map(() => caller.traceId),
    );
    expect(request.traceId).toBe(caller.traceId);
    expect(job?.traceId).toBe(caller.traceId);
    expect(server.parentSpanContext?.spanId).toBe(caller.spanId);
    expect(sent.parentSpanContext?.spanId).toBe(server.spanContext().spanId);
    expect(processed.parentSpanContext?.spanId).toBe(sent.spanContext().spanId);
    expect(compute.parentSpanContext?.spanId).toBe(processed.spanContext().spanId);
    expect([server.kind, sent.kind, processed.kind, compute.kind]).toEqual([
      SpanKind.SERVER,
      SpanKind.PRODUCER,
      SpanKind.CONSUMER,
      SpanKind.INTERNAL,
    ]);
    // To the microsecond, which is what a clock in milliseconds with fractions has.
    expect(compute.startTime).toEqual([1_700_000_000, 4_000_000]);
    expect(compute.endTime).toEqual([1_700_000_000, 6_250_000]);
  });

  test('has the attributes of the conventions, and none that a caller fills', async () => {
    const tracing = await open();
    const request = requestOf(tracing, { traceparent: caller.sampled });
    settle(claim(tracing, { trace: send(request) }));
    end(request);
    const spans = await spansOf(tracing);
    expect(named(spans, 'POST /v1/models/{model}/jobs').attributes).toEqual({
      'http.request.method': 'POST',
      'http.response.status_code': 200,
      'http.route': '/v1/models/{model}/jobs',
      'url.scheme': 'http',
    });
    const message = {
      'messaging.system': 'bullmq',
      'messaging.destination.name': 'iris@1',
      'messaging.message.id': 'job-1',
      'inferry.model': 'iris',
      'inferry.priority': 'normal',
      'inferry.rows': 2,
    };
    expect(named(spans, 'send iris@1').attributes).toEqual({
      ...message,
      'messaging.operation.name': 'send',
      'messaging.operation.type': 'send',
      'messaging.message.body.size': 64,
    });
    const processed = named(spans, 'process iris@1');
    expect(processed.attributes).toEqual({
      ...message,
      'messaging.operation.name': 'process',
      'messaging.operation.type': 'process',
      'inferry.attempt': 1,
      'inferry.queue_wait_ms': 1.5,
      'inferry.release_reason': 'full',
      'inferry.outcome': 'succeeded',
    });
    expect(processed.resource.attributes).toMatchObject({
      'service.name': 'inferry-worker',
      'service.version': '1.2.3',
      'service.instance.id': 'w1',
    });
  });

  test('of an unknown method on an unknown path has a name of its own', async () => {
    const tracing = await open();
    const headers: Record<string, string> = { traceparent: caller.sampled };
    const span = tracing.request({ method: 'BREW', header: (name) => headers[name] }, startMs);
    span.end({ route: null, status: 404, code: 'route_not_found', endedAtMs: startMs + 1 });
    const [only, ...others] = await spansOf(tracing);
    expect(others).toEqual([]);
    expect(only).toMatchObject({
      name: 'HTTP',
      attributes: { 'http.request.method': '_OTHER' },
      status: { code: SpanStatusCode.UNSET },
    });
    expect(JSON.stringify(only?.attributes)).not.toContain('BREW');
  });
});

describe('what is recorded', () => {
  test('a trace that its caller does not sample is carried on and not recorded', async () => {
    const tracing = await open();
    const request = requestOf(tracing, { traceparent: caller.unsampled });
    const trace = send(request);
    end(request);
    expect(trace.traceparent).toMatch(new RegExp(`^00-${caller.traceId}-[0-9a-f]{16}-00$`, 'u'));
    expect(trace.traceparent).not.toBe(caller.unsampled);
    expect(request.traceId).toBe(caller.traceId);
    const job = claim(tracing, { trace });
    expect(job).toBeUndefined();
    run(tracing, [job]);
    expect(await spansOf(tracing)).toEqual([]);
  });

  test.each([
    'nonsense',
    `${caller.sampled}-more`,
    caller.sampled.replace('00-', 'ff-'),
    caller.sampled.toUpperCase(),
    caller.sampled.replace(caller.traceId, '0'.repeat(32)),
    caller.sampled.replace(caller.spanId, '0'.repeat(16)),
    `${caller.sampled}, ${caller.sampled}`,
  ])('the traceparent "%s" is ignored: a trace of our own begins', async (traceparent) => {
    const tracing = await open({ OTEL_TRACES_SAMPLER_ARG: '1' });
    const request = requestOf(tracing, { traceparent });
    end(request);
    settle(claim(tracing, { trace: { traceparent, tracestate: null } }));
    const spans = await spansOf(tracing);
    expect(request.traceId).not.toBe(caller.traceId);
    expect(named(spans, 'POST /v1/models/{model}/jobs').parentSpanContext).toBeUndefined();
    expect(named(spans, 'process iris@1').parentSpanContext).toBeUndefined();
  });

  test('a tracestate beyond 512 characters is dropped, its traceparent is not', async () => {
    const tracing = await open();
    const tracestate = `vendor=${'x'.repeat(600)}`;
    const request = requestOf(tracing, { traceparent: caller.sampled, tracestate });
    const trace = send(request);
    expect(trace.tracestate).toBeNull();
    expect(trace.traceparent).toContain(caller.traceId);
    await tracing.close();
  });

  test('where nobody decided before, about the configured share', async () => {
    const tracing = await open({ OTEL_TRACES_SAMPLER_ARG: '0.5' });
    let recorded = 0;
    for (let i = 0; i < 2_000; i += 1) {
      if (claim(tracing, { trace: undefined }) !== undefined) recorded += 1;
    }
    await tracing.close();
    // 13 standard deviations.
    expect(Math.abs(recorded - 1_000)).toBeLessThan(300);
  });

  test('the worker goes by the decision of the gateway, not by its own share', async () => {
    const gateway = await open({ OTEL_TRACES_SAMPLER_ARG: '1' });
    const worker = await open({ OTEL_TRACES_SAMPLER_ARG: '0' });
    const trace = send(requestOf(gateway));
    expect(claim(worker, { trace })).toBeDefined();
    expect(claim(worker, { trace: undefined })).toBeUndefined();
    await gateway.close();
    await worker.close();
  });
});

describe('a run', () => {
  test('links to the jobs in it, and their compute stages to the run', async () => {
    const tracing = await open();
    const jobs = ['a', 'b', 'c'].map((id) => claim(tracing, { id }));
    run(tracing, jobs);
    for (const job of jobs) settle(job);
    const spans = await spansOf(tracing);
    const batch = named(spans, 'batch iris');
    const processed = spans.filter((span) => span.name === 'process iris@1');
    expect(batch.kind).toBe(SpanKind.INTERNAL);
    expect(batch.parentSpanContext).toBeUndefined();
    expect(batch.spanContext().traceId).not.toBe(caller.traceId);
    expect(batch.links.map((link) => link.context.spanId)).toEqual(
      processed.map((span) => span.spanContext().spanId),
    );
    expect(batch.attributes).toEqual({
      'messaging.system': 'bullmq',
      'messaging.destination.name': 'iris@1',
      'messaging.batch.message_count': 3,
      'inferry.model': 'iris',
      'inferry.rows': 6,
      'inferry.release_reason': 'full',
    });
    const stages = spans.filter((span) => span.name === 'compute');
    expect(stages).toHaveLength(3);
    for (const stage of stages) {
      expect(stage.links.map((link) => link.context)).toEqual([batch.spanContext()]);
    }
  });

  test('is recorded with the one job of it that is', async () => {
    const tracing = await open();
    const trace = { traceparent: caller.unsampled, tracestate: null };
    const jobs = [claim(tracing, { trace }), claim(tracing), claim(tracing, { trace })];
    run(tracing, jobs);
    const batch = named(await spansOf(tracing), 'batch iris');
    expect(batch.links).toHaveLength(1);
    expect(batch.attributes['messaging.batch.message_count']).toBe(3);
  });

  test('has 128 links at most', async () => {
    const tracing = await open();
    run(
      tracing,
      Array.from({ length: 200 }, (_, i) => claim(tracing, { id: String(i) })),
    );
    const batch = named(await spansOf(tracing), 'batch iris');
    expect(batch.links).toHaveLength(128);
    expect(batch.droppedLinksCount).toBe(0);
    expect(batch.attributes['messaging.batch.message_count']).toBe(200);
  });
});

describe('what failed', () => {
  test('has error.type, and no detail that may hold what a caller sent', async () => {
    const tracing = await open();
    const request = requestOf(tracing, { traceparent: caller.sampled });
    send(request, 'queue_full');
    end(request, 503, 'queue_full');
    const job = claim(tracing);
    run(tracing, [job]);
    const error = { outcome: 'failed', errorType: 'model_error' } as const;
    job?.end({ ...error, stages: [], endedAtMs: startMs + 8 });
    const spans = await spansOf(tracing);
    const failed = ['POST /v1/models/{model}/jobs', 'send iris@1', 'process iris@1'];
    const types = failed.map((name) => named(spans, name).attributes['error.type']);
    expect(types).toEqual(['queue_full', 'queue_full', 'model_error']);
    for (const name of failed) {
      expect(named(spans, name).status).toEqual({ code: SpanStatusCode.ERROR });
    }
    expect(named(spans, 'batch iris').status.code).toBe(SpanStatusCode.UNSET);
  });

  test('is not a request that the caller got wrong', async () => {
    const tracing = await open();
    const request = requestOf(tracing, { traceparent: caller.sampled });
    end(request, 422, 'invalid_input');
    const span = named(await spansOf(tracing), 'POST /v1/models/{model}/jobs');
    expect(span.status.code).toBe(SpanStatusCode.UNSET);
    expect(span.attributes).not.toHaveProperty('error.type');
  });

  test('a job that starts again has another span under the same parent', async () => {
    const tracing = await open();
    const lost = { outcome: 'lost', errorType: 'lease_lost' } as const;
    claim(tracing)?.end({ ...lost, stages: [], endedAtMs: startMs + 5 });
    settle(claim(tracing, { attempt: 2 }));
    const spans = (await spansOf(tracing)).filter((span) => span.kind === SpanKind.CONSUMER);
    expect(spans.map((span) => span.parentSpanContext?.spanId)).toEqual([
      caller.spanId,
      caller.spanId,
    ]);
    expect(spans.map((span) => span.attributes['inferry.attempt'])).toEqual([1, 2]);
  });

  test('a span ends once', async () => {
    const tracing = await open();
    const job = claim(tracing);
    settle(job);
    settle(job);
    expect((await spansOf(tracing)).map((span) => span.name)).toEqual([
      'compute',
      'process iris@1',
    ]);
  });
});

describe('a collector that is away', () => {
  test('is told once, and once more when it is back; nobody waits for it', async () => {
    let isAway = true;
    const away: SpanExporter = {
      export: (_, done) =>
        isAway
          ? done({ code: ExportResultCode.FAILED, error: new Error('connect ECONNREFUSED') })
          : done({ code: ExportResultCode.SUCCESS }),
      shutdown: () => Promise.resolve(),
    };
    const tracing = await open({}, away);
    const exportedBatches = async (count: number): Promise<void> => {
      // As many spans as make the queue send at once.
      for (let i = 0; i < count * 512; i += 1) settle(claim(tracing));
      await new Promise((resolve) => setImmediate(resolve));
    };
    await exportedBatches(4);
    const warnings = () => logged.filter((line) => line.includes('"level":"warn"'));
    expect(warnings()).toHaveLength(1);
    expect(warnings()[0]).toContain('ECONNREFUSED');
    expect(warnings()[0]).toContain('collector:4318');
    isAway = false;
    await exportedBatches(2);
    await tracing.close();
    expect(warnings()).toHaveLength(1);
    expect(logged.at(-1)).toContain('spans are sent again');
  });

  test('and that never answers holds up the end for 2 s at most', async () => {
    const clock = new VirtualClock();
    const silent: SpanExporter = {
      export: () => undefined,
      shutdown: () => new Promise(() => undefined),
    };
    const opened = await openTracing({
      env: { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://collector:4318' },
      role: 'worker',
      version: '1',
      instanceId: 'w1',
      system: 'bullmq',
      clock,
      logger: createLogger({ role: 'worker', level: 'silent' }),
      exporter: silent,
    });
    const tracing = opened.ok ? opened.value : undefined;
    if (tracing === undefined) throw new Error('tracing is on');
    settle(claim(tracing));
    let hasClosed = false;
    const closing = tracing.close().then(() => (hasClosed = true));
    await clock.advance(1_999);
    expect(hasClosed).toBe(false);
    await clock.advance(1);
    await closing;
  });
});
