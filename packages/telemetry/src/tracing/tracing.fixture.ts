/** A request, its job and its run, traced into memory. For tests only. */
import { systemClock } from '@inferry/runtime';
import { InMemorySpanExporter, type ReadableSpan } from '@opentelemetry/sdk-trace-base';
import { createLogger } from '../logger.ts';
import { openTracing, type TracingOptions } from './open-tracing.ts';
import type { ClaimedJob, JobSpan, RequestSpan, Tracing } from './tracing.ts';

export const caller = {
  traceId: '0af7651916cd43dd8448eb211c80319c',
  spanId: 'b7ad6b7169203331',
  sampled: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
  unsampled: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00',
};
export const startMs = 1_700_000_000_000;

/** Keeps what it was given also after its end. */
class KeptSpans extends InMemorySpanExporter {
  override shutdown(): Promise<void> {
    return Promise.resolve();
  }
}

export interface Opened extends Tracing {
  readonly kept: KeptSpans;
  readonly logged: readonly string[];
}

/** Tracing that is on; `options` replace some of those it is opened with. */
export async function open(
  env: Readonly<Record<string, string>> = {},
  options: Partial<TracingOptions> = {},
): Promise<Opened> {
  const kept = new KeptSpans();
  const logged: string[] = [];
  const destination = { write: (line: string) => void logged.push(line) };
  const opened = await openTracing({
    env: { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://collector:4318', ...env },
    role: 'worker',
    version: '1.2.3',
    instanceId: 'w1',
    system: 'bullmq',
    clock: systemClock,
    logger: createLogger({ role: 'worker', level: 'info', destination }),
    exporter: kept,
    ...options,
  });
  if (!opened.ok || opened.value === undefined) throw new Error('tracing is on');
  return Object.assign(opened.value, { kept, logged });
}

export function requestOf(tracing: Tracing, headers: Record<string, string> = {}): RequestSpan {
  const request = { method: 'POST', header: (name: string) => headers[name] };
  return tracing.request(request, startMs);
}

export const iris = {
  id: 'job-1',
  class: 'iris@1',
  model: 'iris',
  priority: 'normal',
  rows: 2,
} as const;

export function send(request: RequestSpan, code: string | null = null, id: string = iris.id) {
  const sent = request.send({ ...iris, id, payloadBytes: 64, startedAtMs: startMs + 1 });
  sent.end(startMs + 2, code);
  return sent.context;
}

export function end(request: RequestSpan, status = 200, code: string | null = null): void {
  request.end({ route: '/v1/models/{model}/jobs', status, code, endedAtMs: startMs + 9 });
}

export function claim(tracing: Tracing, job: Partial<ClaimedJob> = {}): JobSpan | undefined {
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

export function settle(span: JobSpan | undefined): void {
  const stage = { name: 'compute', startedAtMs: startMs + 4, endedAtMs: startMs + 6.25 };
  span?.end({ outcome: 'succeeded', errorType: null, stages: [stage], endedAtMs: startMs + 8 });
}

export function run(tracing: Tracing, jobs: readonly (JobSpan | undefined)[]): void {
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
export async function spansOf(tracing: Opened): Promise<readonly ReadableSpan[]> {
  await tracing.close();
  return tracing.kept.getFinishedSpans();
}

export function named(spans: readonly ReadableSpan[], name: string): ReadableSpan {
  const found = spans.find((span) => span.name === name);
  if (found === undefined) throw new Error(`${name} is not in ${spans.map((s) => s.name).join()}`);
  return found;
}
