/** The durable unit in the queue, and how it ends. */
import type { ErrorCode } from './errors.ts';
import type { ClassId, JobId } from './ids.ts';
import type { JobOutput } from './payload.ts';

/** Not strict: with work waiting in all three, they share the model 8 : 4 : 1. */
export const priorities = ['high', 'normal', 'low'] as const;
export type Priority = (typeof priorities)[number];

/** The tenant of requests that name none, and of all of them where no tenants are configured. */
export const defaultTenant = 'default';

/** W3C Trace Context, as its two headers: the span that sent the job. */
export interface TraceContext {
  readonly traceparent: string;
  /** At most 512 characters; null where there is none. */
  readonly tracestate: string | null;
}

/**
 * What is stored with a job at enqueue and never changes. `v` rises when a field changes its meaning;
 * a worker leaves a job with a newer `v` to a newer worker.
 */
export interface JobEnvelope {
  readonly v: 1;
  readonly id: JobId;
  readonly class: ClassId;
  /** Whose job it is: with {@link priority} its flow, within which order of arrival holds. */
  readonly tenant: string;
  readonly priority: Priority;
  /** Leading dimension: rows this job takes of a batch's `max_batch_size`. At least 1. */
  readonly rows: number;
  readonly payloadBytes: number;
  /** `held`: only the open request answers; `async`: the job can be asked for by its id. */
  readonly mode: 'held' | 'async';
  /** Gateway process whose caller waits for the outcome; null when nobody waits. */
  readonly gateway: string | null;
  readonly requestId: string;
  /** Request headers read -> enqueue sent, in the gateway. */
  readonly admissionMs: number;
  /** Time budget from acceptance to a terminal state. */
  readonly deadlineMs: number;
  /** Must have started within this time from acceptance. At most `deadlineMs`. */
  readonly queueTimeoutMs: number;
  /** For one run. */
  readonly executionTimeoutMs: number;
  /** How often the job may be started at most, when workers are lost under it. */
  readonly attemptsMax: number;
  /** How long the outcome is kept. */
  readonly retentionMs: number;
  readonly metadata: Readonly<Record<string, string>>;
  /** Weight of the tenant, for the steps of a composed model, which have the tenant of their job; absent: 1. */
  readonly tenantWeight?: number;
  /** Absent where the gateway does not trace: the job is as large as it was then. */
  readonly trace?: TraceContext;
}

export type TerminalStatus = 'succeeded' | 'failed' | 'canceled' | 'expired';
export type JobStatus = 'queued' | 'running' | TerminalStatus;

/** The error inside a job that did not succeed. */
export interface JobError {
  readonly code: ErrorCode;
  readonly detail: string;
}

/** Milliseconds of each stage as far as the worker measured them; see operations in ARCHITECTURE.md. */
export interface StageTimings {
  readonly queueWaitMs: number;
  readonly fetchMs: number;
  readonly preprocessMs: number;
  readonly batchWaitMs: number;
  readonly computeMs: number;
  readonly postprocessMs: number;
}

/** How a job ended. Written once, by whoever got there first; late results are dropped. */
export interface Outcome {
  readonly status: TerminalStatus;
  readonly output: JobOutput | null;
  readonly error: JobError | null;
  /** Rows that ran together; null when the job never ran. */
  readonly batchRows: number | null;
  readonly timings: StageTimings | null;
  /** Instant (queue clock) at which the outputs were ready; null when the job never ran. */
  readonly readyAtMs: number | null;
  /** Later jobs of its class that were claimed before this one. 0 unless a worker was lost. */
  readonly overtakenBy: number;
}

/** A job as its owner sees it. All instants are on the queue's clock (Redis TIME), epoch ms. */
export interface JobRecord {
  readonly job: JobEnvelope;
  readonly status: JobStatus;
  /** Number of claims so far. */
  readonly attempt: number;
  readonly enqueuedAtMs: number;
  readonly startedAtMs: number | null;
  readonly settledAtMs: number | null;
  readonly deadlineAtMs: number;
  readonly expiresAtMs: number | null;
  /** Jobs of the class that would start before this one if nobody else came; null unless queued. */
  readonly ahead: number | null;
  /** Jobs of other tenants or priorities wait too: later ones of theirs may still start before this one. */
  readonly isAheadApproximate: boolean;
  /** When the job is expected to have ended; null unless queued, and while no worker has told what runs take. */
  readonly etaAtMs: number | null;
  readonly outcome: Outcome | null;
}

export function isTerminal(status: JobStatus): status is TerminalStatus {
  return status !== 'queued' && status !== 'running';
}
