/** How a job ends, as its worker says it. Each function fixes the outcome and the instant it was ready. */
import type { Failure, JobOutput, TerminalStatus } from '@inferry/contracts';
import { invariant } from '@inferry/runtime';
import type { LaneContext } from './deps.ts';
import type { HeldJob } from './held-job.ts';
import { stageTimings } from './timings.ts';

type Lane = Pick<LaneContext, 'clock' | 'queueClock'>;

/** `batchRows`: rows that ran together. */
export function succeed(job: HeldJob, output: JobOutput, batchRows: number, lane: Lane): void {
  end(job, { status: 'succeeded', output, failure: null, batchRows }, lane);
}

/** `batchRows` is null when the job never ran. */
export function fail(
  job: HeldJob,
  failure: Failure,
  batchRows: number | null,
  lane: Lane,
  status: 'failed' | 'expired' = 'failed',
): void {
  end(job, { status, output: null, failure, batchRows }, lane);
}

interface Ending {
  readonly status: TerminalStatus;
  readonly output: JobOutput | null;
  readonly failure: Failure | null;
  readonly batchRows: number | null;
}

function end(job: HeldJob, ending: Ending, lane: Lane): void {
  invariant(job.outcome === null, 'a job ends once');
  const readyAtMs = lane.clock.nowMs();
  job.marks.readyAtMs = readyAtMs;
  const { failure } = ending;
  job.outcome = {
    status: ending.status,
    output: ending.output,
    error: failure === null ? null : { code: failure.code, detail: failure.detail },
    batchRows: ending.batchRows,
    timings: stageTimings(job.claim, job.marks, readyAtMs, lane.queueClock),
    readyAtMs: ending.batchRows === null ? null : lane.queueClock.toQueueMs(readyAtMs),
    overtakenBy: job.claim.overtakenBy,
  };
}
