/** A job of the memory queue, and what is said about one. */
import type {
  JobEnvelope,
  JobError,
  JobId,
  JobRecord,
  Outcome,
  TerminalStatus,
} from '@inferry/contracts';
import type { Lease } from './lease.ts';

export interface Job {
  readonly envelope: JobEnvelope;
  readonly payload: Uint8Array;
  readonly seq: number;
  readonly enqueuedAtMs: number;
  readonly deadlineAtMs: number;
  readonly queueDeadlineAtMs: number;
  attempt: number;
  workersLost: number;
  /** It was claimed and came back; it has waited for company already. */
  hasReturned: boolean;
  startedAtMs: number | null;
  /** Set while the job is claimed. */
  lease: Lease | null;
}

/** A job as it is when it arrives, at `nowMs`. */
export function newJob(
  envelope: JobEnvelope,
  payload: Uint8Array,
  { seq, nowMs }: { readonly seq: number; readonly nowMs: number },
): Job {
  return {
    envelope,
    payload,
    seq,
    enqueuedAtMs: nowMs,
    deadlineAtMs: nowMs + envelope.deadlineMs,
    queueDeadlineAtMs: nowMs + envelope.queueTimeoutMs,
    attempt: 0,
    workersLost: 0,
    hasReturned: false,
    startedAtMs: null,
    lease: null,
  };
}

export function failed(status: TerminalStatus, error: JobError): Outcome {
  return {
    status,
    output: null,
    error,
    batchRows: null,
    timings: null,
    readyAtMs: null,
    overtakenBy: 0,
  };
}

/** A close upper estimate of what the outcome takes in memory. */
export function outcomeBytes(outcome: Outcome): number {
  const { output } = outcome;
  if (output === null) return 512;
  if (output.form === 'tensors') {
    return output.tensors.reduce((sum, tensor) => sum + tensor.bytes.length + 128, 512);
  }
  return 512 + JSON.stringify(output.rows).length;
}

export function idsOf(jobs: readonly Job[]): readonly JobId[] {
  return jobs.map((job) => job.envelope.id);
}

/** `ahead`: jobs before it in the queue; not looked at while the job is claimed. */
export function liveRecord(job: Job, ahead: number): JobRecord {
  const isQueued = job.lease === null;
  return {
    job: job.envelope,
    status: isQueued ? 'queued' : 'running',
    attempt: job.attempt,
    enqueuedAtMs: job.enqueuedAtMs,
    startedAtMs: job.startedAtMs,
    settledAtMs: null,
    deadlineAtMs: job.deadlineAtMs,
    expiresAtMs: null,
    ahead: isQueued ? ahead : null,
    outcome: null,
  };
}
