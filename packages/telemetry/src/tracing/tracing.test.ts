import { SpanKind, SpanStatusCode } from '@opentelemetry/api';
import { describe, expect, test } from 'vitest';
import {
  caller,
  claim,
  end,
  iris,
  named,
  open,
  requestOf,
  run,
  send,
  settle,
  spansOf,
  startMs,
} from './tracing.fixture.ts';

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

  test('a step that a job sends is below its job, and all of it in one trace', async () => {
    const tracing = await open();
    const parent = claim(tracing);
    const sent = parent?.send({ ...iris, payloadBytes: 1, startedAtMs: startMs + 4 });
    sent?.end(startMs + 5, null);
    const { context } = sent ?? {};
    settle(claim(tracing, { class: 'step@1', trace: context, claimedAtMs: startMs + 5 }));
    settle(parent);
    const spans = await spansOf(tracing);
    const [send, step] = [named(spans, 'send iris@1'), named(spans, 'process step@1')];
    const idOf = (name: string) => named(spans, name).spanContext().spanId;
    expect(send.parentSpanContext?.spanId).toBe(idOf('process iris@1'));
    expect(step.parentSpanContext?.spanId).toBe(idOf('send iris@1'));
    expect(step.spanContext().traceId).toBe(caller.traceId);
  });
});
