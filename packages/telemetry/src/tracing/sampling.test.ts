/** What is recorded, and what is only carried on. */
import { expect, test } from 'vitest';
import {
  caller,
  claim,
  end,
  named,
  open,
  requestOf,
  run,
  send,
  settle,
  spansOf,
} from './tracing.fixture.ts';

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
