/** The spans of requests, jobs and runs, made with a tracer of OpenTelemetry. */
import type { TraceContext } from '@inferry/contracts';
import {
  type Attributes,
  type Context,
  type HrTime,
  type Link,
  ROOT_CONTEXT,
  type Span,
  SpanKind,
  SpanStatusCode,
  type TextMapGetter,
  trace,
  type Tracer,
} from '@opentelemetry/api';
import { W3CTraceContextPropagator } from '@opentelemetry/core';
import {
  batchAttributes,
  batchName,
  methodOf,
  errorAttributes,
  processAttributes,
  processEndAttributes,
  processName,
  requestAttributes,
  requestName,
  sendAttributes,
  sendName,
} from './semantics.ts';
import type {
  BatchRun,
  ClaimedJob,
  IncomingRequest,
  JobEnd,
  JobSpan,
  RequestEnd,
  RequestSpan,
  SendSpan,
  SentJob,
  Tracing,
} from './tracing.ts';

interface SpansDeps {
  readonly tracer: Tracer;
  readonly system: string;
  readonly close: () => Promise<void>;
}

const propagator = new W3CTraceContextPropagator();
/** As many as the SDK keeps of one span by default. */
const linksMax = 128;
/** In characters, which are ASCII there. */
const traceStateMax = 512;

export class Spans implements Tracing {
  readonly #deps: SpansDeps;

  constructor(deps: SpansDeps) {
    this.#deps = deps;
  }

  request(request: IncomingRequest, startedAtMs: number): RequestSpan {
    const method = methodOf(request);
    const parent = propagator.extract(ROOT_CONTEXT, request, headers);
    const options = { kind: SpanKind.SERVER, startTime: hrTime(startedAtMs) };
    const span = this.#deps.tracer.startSpan(requestName(method, null), options, parent);
    return new HttpSpan(span, method, this.#deps);
  }

  claimed(job: ClaimedJob): JobSpan | undefined {
    const { tracer, system } = this.#deps;
    const parent =
      job.trace === undefined ? ROOT_CONTEXT : propagator.extract(ROOT_CONTEXT, job.trace, carried);
    const options = { kind: SpanKind.CONSUMER, startTime: hrTime(job.claimedAtMs) };
    const span = tracer.startSpan(processName(job), options, parent);
    if (!span.isRecording()) return undefined;
    span.setAttributes(processAttributes(job, system));
    return new ProcessSpan(span, job, this.#deps);
  }

  ran(run: BatchRun): void {
    const jobs = run.jobs.filter((job) => job instanceof ProcessSpan);
    const [first] = jobs;
    if (first === undefined) return;
    const { tracer, system } = this.#deps;
    const links = jobs.slice(0, linksMax).map((job): Link => ({ context: job.span.spanContext() }));
    const span = tracer.startSpan(
      batchName(run),
      { kind: SpanKind.INTERNAL, startTime: hrTime(run.startedAtMs), links },
      ROOT_CONTEXT,
    );
    span.setAttributes(batchAttributes(run, first.releaseReason, system));
    if (run.errorType !== null) span.setStatus({ code: SpanStatusCode.ERROR });
    span.end(hrTime(run.endedAtMs));
    for (const job of jobs) job.batch = { context: span.spanContext() };
  }

  close(): Promise<void> {
    return this.#deps.close();
  }
}

class HttpSpan implements RequestSpan {
  readonly traceId: string;
  readonly #span: Span;
  readonly #method: string;
  readonly #deps: SpansDeps;

  constructor(span: Span, method: string, deps: SpansDeps) {
    this.traceId = span.spanContext().traceId;
    this.#span = span;
    this.#method = method;
    this.#deps = deps;
  }

  send(job: SentJob): SendSpan {
    return sendBelow(this.#span, job, this.#deps);
  }

  end(end: RequestEnd): void {
    const span = this.#span;
    if (!span.isRecording()) return;
    span.updateName(requestName(this.#method, end.route));
    const attributes = requestAttributes(this.#method, end);
    if (end.status >= 500) fail(span, attributes);
    else span.setAttributes(attributes);
    span.end(hrTime(end.endedAtMs));
  }
}

class ProcessSpan implements JobSpan {
  readonly span: Span;
  readonly traceId: string;
  readonly claimedAtMs: number;
  readonly releaseReason: string;
  /** The run it was in, once that is over. */
  batch: Link | undefined;
  readonly #deps: SpansDeps;

  constructor(span: Span, { claimedAtMs, releaseReason }: ClaimedJob, deps: SpansDeps) {
    this.span = span;
    this.traceId = span.spanContext().traceId;
    this.claimedAtMs = claimedAtMs;
    this.releaseReason = releaseReason;
    this.#deps = deps;
  }

  send(job: SentJob): SendSpan {
    return sendBelow(this.span, job, this.#deps);
  }

  end(end: JobEnd): void {
    const { span } = this;
    if (!span.isRecording()) return;
    const context = trace.setSpan(ROOT_CONTEXT, span);
    for (const { name, startedAtMs, endedAtMs } of end.stages) {
      const links = name === 'compute' && this.batch !== undefined ? [this.batch] : [];
      const options = { startTime: hrTime(startedAtMs), links };
      this.#deps.tracer.startSpan(name, options, context).end(hrTime(endedAtMs));
    }
    if (end.errorType === null) span.setAttributes(processEndAttributes(end));
    else fail(span, processEndAttributes(end));
    span.end(hrTime(end.endedAtMs));
  }
}

function sendBelow(parent: Span, job: SentJob, { tracer, system }: SpansDeps): SendSpan {
  const context = trace.setSpan(ROOT_CONTEXT, parent);
  // What is not recorded needs no span of its own: that it is not is told with the id of the parent's.
  if (!parent.isRecording()) return { context: contextOf(context), end: () => undefined };
  const span = tracer.startSpan(
    sendName(job),
    {
      kind: SpanKind.PRODUCER,
      startTime: hrTime(job.startedAtMs),
      attributes: sendAttributes(job, system),
    },
    context,
  );
  return {
    context: contextOf(trace.setSpan(ROOT_CONTEXT, span)),
    end(endedAtMs, code) {
      if (code !== null) fail(span, errorAttributes(code));
      span.end(hrTime(endedAtMs));
    },
  };
}

/** The detail of an error may hold what a caller sent: its type is enough. */
function fail(span: Span, attributes: Attributes): void {
  span.setAttributes(attributes);
  span.setStatus({ code: SpanStatusCode.ERROR });
}

/** Seconds and nanoseconds: a plain number would be taken for a time since the process began. */
function hrTime(ms: number): HrTime {
  const seconds = Math.floor(ms / 1_000);
  return [seconds, Math.floor((ms - seconds * 1_000) * 1e6)];
}

const headers: TextMapGetter<IncomingRequest> = {
  get: (request, name) => request.header(name),
  keys: () => [],
};

const carried: TextMapGetter<TraceContext> = {
  get: (context, name) =>
    (name === 'traceparent' ? context.traceparent : context.tracestate) ?? undefined,
  keys: () => [],
};

function contextOf(context: Context): TraceContext {
  const carrier = { traceparent: '', tracestate: '' };
  propagator.inject(context, carrier, {
    set(into, name, value) {
      if (name === 'traceparent') into.traceparent = value;
      else if (name === 'tracestate') into.tracestate = value;
    },
  });
  const { traceparent, tracestate } = carrier;
  const isCarried = tracestate !== '' && tracestate.length <= traceStateMax;
  return { traceparent, tracestate: isCarried ? tracestate : null };
}
