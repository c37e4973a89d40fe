/**
 * Tracing as the apps see it. Where it is off there is no object at all: call sites ask with `?.`, so that
 * not even their arguments are made. Contexts are passed by hand; nothing hangs on AsyncLocalStorage.
 *
 * Instants are epoch milliseconds of the clock of the process that makes the span; spans of one process
 * therefore nest, whatever the clocks of others say. Which names and attributes come of it: semantics.ts.
 */
import type { Priority, TraceContext } from '@inferry/contracts';
import type { ReleaseReason } from '../metric-spec.ts';

export interface Tracing {
  /** A request whose headers were read at `startedAtMs`. A `traceparent` that cannot be read is ignored. */
  request(request: IncomingRequest, startedAtMs: number): RequestSpan;
  /** A claimed job; undefined where its trace is not recorded. */
  claimed(job: ClaimedJob): JobSpan | undefined;
  /** A run is over. Recorded where one of its jobs is. */
  ran(run: BatchRun): void;
  /** Sends what is left, within 2 s, and ends. Never rejects. */
  close(): Promise<void>;
}

export interface IncomingRequest {
  readonly method: string;
  header(name: string): string | undefined;
}

export interface RequestSpan {
  /** Also where the trace is not recorded: callers may know it. */
  readonly traceId: string;
  /** The request sends a job. */
  send(job: SentJob): SendSpan;
  end(end: RequestEnd): void;
}

export interface RequestEnd {
  /** Pattern of the route; null where there is none. */
  readonly route: string | null;
  readonly status: number;
  /** Of the error registry; counts where the status is 500 or more. */
  readonly code: string | null;
  readonly endedAtMs: number;
}

interface TracedJob {
  readonly id: string;
  /** The queue. */
  readonly class: string;
  readonly model: string;
  readonly priority: Priority;
  readonly rows: number;
}

export interface SentJob extends TracedJob {
  readonly payloadBytes: number;
  readonly startedAtMs: number;
}

export interface SendSpan {
  /** What the job carries to its worker. */
  readonly context: TraceContext;
  /** `code`: why the queue did not take it; null where it did. */
  end(endedAtMs: number, code: string | null): void;
}

export interface ClaimedJob extends TracedJob {
  /** Where it is absent, a trace begins here. */
  readonly trace: TraceContext | undefined;
  readonly attempt: number;
  readonly releaseReason: ReleaseReason;
  readonly queueWaitMs: number;
  readonly claimedAtMs: number;
}

export interface JobSpan {
  /** For exemplars. */
  readonly traceId: string;
  readonly claimedAtMs: number;
  /** The job sends another, a step of a composed model. */
  send(job: SentJob): SendSpan;
  /** Counts once; further calls do nothing. */
  end(end: JobEnd): void;
}

export interface JobEnd {
  /** `returned`: given back to its place; `lost`: taken over by another worker, or ended by its owner. */
  readonly outcome: 'succeeded' | 'failed' | 'canceled' | 'expired' | 'returned' | 'lost';
  /** Of the error registry, or `lease_lost`; null where nothing went wrong. */
  readonly errorType: string | null;
  /** In order. */
  readonly stages: readonly StageTime[];
  readonly endedAtMs: number;
}

export interface StageTime {
  readonly name: string;
  readonly startedAtMs: number;
  readonly endedAtMs: number;
}

export interface BatchRun {
  readonly class: string;
  readonly model: string;
  /** The recorded ones of its jobs. */
  readonly jobs: readonly JobSpan[];
  /** All of its jobs. */
  readonly items: number;
  readonly rows: number;
  /** Null where a job of it has a result. */
  readonly errorType: string | null;
  readonly startedAtMs: number;
  readonly endedAtMs: number;
}
