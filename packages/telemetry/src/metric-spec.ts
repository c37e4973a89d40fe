/** What the catalogue says of a metric, and the fixed vocabularies of its labels. */
import type { ErrorCode, TerminalStatus } from '@inferry/contracts';

/** Which process exports a metric. */
export type MetricRole = 'gateway' | 'worker';

/**
 * What makes a metric change, so that a test can make it happen: ordinary `traffic`, the `start` of the
 * process, the passing of time (`idle`), or one special event, whose name begins the name of its own
 * test in packages/system-tests/src/e2e/metrics.test.ts.
 */
export type MovedBy =
  | 'traffic'
  | 'refusal'
  | 'start'
  | 'idle'
  | 'worker_lost'
  | 'batch_failure'
  | 'late_result'
  | 'redis_outage'
  | 'collector_failure'
  | 'load_failure'
  | 'model_change'
  | 'forced_exit'
  | 'late_answer'
  | 'clock_step'
  | 'padding'
  | 'streaming'
  | 'repetition'
  | 'gpu';

/**
 * A label's values: a list when they are known (their series exist at 0 from the start), `model` or
 * `queue` when they are known once a model is, `open` when only their number is bounded.
 */
export type LabelValues = readonly string[] | 'model' | 'queue' | 'open';

export interface MetricSpec {
  /** Without the prefix. */
  readonly name: string;
  readonly type: 'counter' | 'gauge' | 'histogram';
  readonly help: string;
  readonly labels: Readonly<Record<string, LabelValues>>;
  /** Upper bounds of a histogram, ascending; empty for the other types. */
  readonly buckets: readonly number[];
  readonly roles: readonly MetricRole[];
  readonly movedBy: MovedBy;
}

/** Parts of a job's life that add up to `request_duration_seconds`, in order. */
export const stages = [
  'admission',
  'queue_wait',
  'fetch',
  'preprocess',
  'batch_wait',
  'compute',
  'postprocess',
  'publish',
] as const;
export type Stage = (typeof stages)[number];

/** Codes of the error registry that refuse work for load: all of its class `refused`. */
export const refusalReasons = [
  'deadline_infeasible',
  'draining',
  'idempotency_in_progress',
  'model_unavailable',
  'queue_full',
  'quota_exceeded',
  'storage_exhausted',
] as const satisfies readonly ErrorCode[];
type RefusalReason = (typeof refusalReasons)[number];

/** The label for a refusal for load; undefined for every other code. */
export function refusalReason(code: ErrorCode): RefusalReason | undefined {
  return refusalReasons.find((reason) => reason === code);
}

/** Codes of the error registry with which a gateway refuses work for a model, plus `none`. */
export const admissionReasons = [
  'none',
  ...refusalReasons,
  'queue_unavailable',
  'payload_too_large',
  'invalid_input',
  'invalid_deadline',
  'idempotency_key_reused',
  'other',
] as const satisfies readonly (ErrorCode | 'none' | 'other')[];
export type AdmissionReason = (typeof admissionReasons)[number];

/** The label for a refusal with this code; codes of a caller's mistakes that are rare share `other`. */
export function admissionReason(code: ErrorCode): AdmissionReason {
  return admissionReasons.find((reason) => reason === code) ?? 'other';
}

/**
 * How a request ended: the status of its job, with two more. `rejected`: the server could not take it.
 * `invalid`: the job failed because its input could not be used, which is its caller's doing; an
 * objective counts neither for nor against the server.
 */
export const outcomes = [
  'succeeded',
  'failed',
  'invalid',
  'canceled',
  'expired',
  'rejected',
] as const satisfies readonly (TerminalStatus | 'rejected' | 'invalid')[];

export const releaseReasons = ['full', 'slot', 'linger', 'deadline', 'returned'] as const;
export type ReleaseReason = (typeof releaseReasons)[number];

export const gateway = ['gateway'] as const satisfies readonly MetricRole[];
export const worker = ['worker'] as const satisfies readonly MetricRole[];
export const both = ['gateway', 'worker'] as const satisfies readonly MetricRole[];
