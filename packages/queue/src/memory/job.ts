/** A job of the memory queue, and what is said about one. */
import type {
  Estimate,
  JobEnvelope,
  JobError,
  JobId,
  JobRecord,
  Outcome,
  TerminalStatus,
} from '@inferry/contracts';
import type { Budget, Claim, Enqueued } from '../port.ts';
import type { SweptJob } from '../reports.ts';
import type { Lease } from './lease.ts';
import type { Flow, Place } from './wait-line.ts';

export interface Job {
  readonly envelope: JobEnvelope;
  readonly payload: Uint8Array;
  readonly seq: number;
  readonly flow: Flow;
  /** Its number in its flow, from 1. */
  readonly number: number;
  /** Where it stands among the waiting jobs, with its id where tags are equal. */
  tag: number;
  /** The earliest tag of the job of its flow behind it. */
  readonly nextTag: number;
  readonly enqueuedAtMs: number;
  readonly deadlineAtMs: number;
  readonly queueDeadlineAtMs: number;
  readonly promise: Claim['promise'];
  attempt: number;
  workersLost: number;
  /** When it waits, it came back, and has waited for company already. */
  wasTaken: boolean;
  startedAtMs: number | null;
  /** Set while the job is claimed. */
  lease: Lease | null;
}

export interface Arrival {
  readonly seq: number;
  readonly nowMs: number;
  readonly place: Place;
  readonly estimate: Estimate | null;
  readonly budget: Budget | null;
}

/** A job as it is when it arrives. */
export function newJob(
  envelope: JobEnvelope,
  payload: Uint8Array,
  { seq, nowMs, place, estimate, budget }: Arrival,
): Job {
  return {
    envelope,
    payload,
    seq,
    ...place,
    enqueuedAtMs: nowMs,
    deadlineAtMs: nowMs + envelope.deadlineMs,
    queueDeadlineAtMs: nowMs + envelope.queueTimeoutMs,
    promise: estimate && {
      readyAtMs: nowMs + estimate.readyInMs,
      startByMs: nowMs + estimate.startBoundMs,
      dueAtMs: budget && nowMs + budget.budgetMs - budget.usedMs,
    },
    attempt: 0,
    workersLost: 0,
    wasTaken: false,
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

/** How a job ends whose time has run out by `nowMs`; undefined while it has not. */
export function lateOutcome(job: Job, nowMs: number): Outcome | undefined {
  if (job.attempt === 0) {
    if (nowMs < job.queueDeadlineAtMs) return undefined;
    const detail = 'The job was not started in time; it never ran.';
    return failed('expired', { code: 'queue_timeout', detail });
  }
  if (nowMs < job.deadlineAtMs) return undefined;
  const detail = 'The job did not end before its deadline.';
  return failed('failed', { code: 'deadline_exceeded', detail });
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

export function sweptJobs(jobs: readonly Job[]): readonly SweptJob[] {
  return jobs.map(({ attempt, envelope: { id, priority } }) => {
    // As in lateOutcome; whose workers were all lost has run.
    return { id, priority, status: attempt === 0 ? 'expired' : 'failed' };
  });
}

/** The answer to an enqueue whose id exists already; `job` is undefined when it has ended. */
export function duplicateOf(job: Job | undefined, ahead: number, nowMs: number): Enqueued {
  return {
    seq: job?.seq ?? 0,
    enqueuedAtMs: job?.enqueuedAtMs ?? nowMs,
    deadlineAtMs: job?.deadlineAtMs ?? nowMs,
    ahead,
    isAheadApproximate: false,
    estimate: null,
    isDuplicate: true,
  };
}

/** The claim on a job that was just taken. */
export function claimOf(
  job: Job,
  taken: Pick<Claim, 'fence' | 'claimedAtMs' | 'overtakenBy'>,
): Claim {
  const { envelope, attempt, seq, enqueuedAtMs, deadlineAtMs, promise, payload } = job;
  return {
    job: envelope,
    ...taken,
    attempt,
    isSuspect: job.workersLost > 0,
    seq,
    enqueuedAtMs,
    deadlineAtMs,
    promise,
    payload,
  };
}

/** `prospect`: where it stands and what is expected, null while the job is claimed. */
export function liveRecord(
  job: Job,
  prospect: Pick<JobRecord, 'ahead' | 'isAheadApproximate' | 'etaAtMs'> | null,
): JobRecord {
  return {
    ...recordOf(job),
    status: prospect === null ? 'running' : 'queued',
    settledAtMs: null,
    expiresAtMs: null,
    ahead: prospect?.ahead ?? null,
    isAheadApproximate: prospect?.isAheadApproximate ?? false,
    etaAtMs: prospect?.etaAtMs ?? null,
    outcome: null,
  };
}

export function endedRecord(job: Job, outcome: Outcome, settledAtMs: number): JobRecord {
  return {
    ...recordOf(job),
    status: outcome.status,
    settledAtMs,
    expiresAtMs: settledAtMs + job.envelope.retentionMs,
    ahead: null,
    isAheadApproximate: false,
    etaAtMs: null,
    outcome,
  };
}

function recordOf(
  job: Job,
): Pick<JobRecord, 'job' | 'attempt' | 'enqueuedAtMs' | 'startedAtMs' | 'deadlineAtMs'> {
  const { envelope, attempt, enqueuedAtMs, startedAtMs, deadlineAtMs } = job;
  return { job: envelope, attempt, enqueuedAtMs, startedAtMs, deadlineAtMs };
}
