/** One claim for a class: asks the release rule whether what waits goes now, and takes it. */
import type { Claimed, ClaimRequest } from '@inferry/queue';
import { decideRelease, type ReleaseReason } from '@inferry/scheduling';
import type { LaneContext } from './deps.ts';
import type { HeldJob } from './held-job.ts';

export interface BatchClaim {
  /** Empty when nothing was taken; the other members say what to do then. */
  readonly jobs: readonly HeldJob[];
  readonly reason: ReleaseReason;
  readonly suspectAhead: boolean;
  /** Jobs linger for a fuller batch: ask again after so many ms. Null when none do. */
  readonly lingerMs: number | null;
  /** Jobs left waiting. */
  readonly waiting: number;
}

/** How often a lingering batch is looked at again, as a share of the linger time. */
const looksPerLinger = 4;

/** Takes the longest allowed prefix of ordinary jobs, when the release rule lets them go. */
export async function claimBatch(lane: LaneContext): Promise<BatchClaim> {
  const { batchSize, manifest } = lane;
  const rowsMax = batchSize.rowsToClaim();
  const { lingerMs, latencyTargetMs } = manifest;
  if (lingerMs <= 0 || rowsMax === 1) return take(lane, rowsMax, 'slot');
  const full = await ask(lane, { rowsMax, rowsMin: rowsMax, takeSuspect: false });
  const { claims, rowsWaiting, oldestAtMs } = full;
  // Less than a full batch is taken here only when a job came back: it does not wait for company.
  if (claims.length > 0 || rowsWaiting === 0) return batchOf(full, rowsMax, 'returned', lane);
  const policy = {
    rowsMax,
    lingerMs,
    latencyTargetMs,
    tailRunMs: (rows: number) => batchSize.latency.tailMs(rows),
  };
  const decision = decideRelease({ rowsWaiting, oldestAtMs }, policy, full.nowMs);
  if (decision.do === 'release') return take(lane, rowsMax, decision.reason);
  const nextLookMs = Math.max(1, lingerMs / looksPerLinger);
  const waitMs = Math.min(decision.untilMs - full.nowMs, nextLookMs);
  return { ...batchOf(full, rowsMax, 'linger', lane), lingerMs: waitMs };
}

/** Takes one suspect, or whatever heads the class by now. The caller has the process to itself. */
export async function claimSuspect(lane: LaneContext): Promise<BatchClaim> {
  const { rowsMax } = lane.batchSize;
  const claimed = await ask(lane, { rowsMax, rowsMin: 1, takeSuspect: true });
  return batchOf(claimed, rowsMax, 'slot', lane);
}

async function take(
  lane: LaneContext,
  rowsMax: number,
  reason: ReleaseReason,
): Promise<BatchClaim> {
  const claimed = await ask(lane, { rowsMax, rowsMin: 1, takeSuspect: false });
  return batchOf(claimed, rowsMax, reason, lane);
}

async function ask(lane: LaneContext, request: Omit<ClaimRequest, 'workerId'>): Promise<Claimed> {
  const { clock, cls, queue, queueClock, telemetry, workerId } = lane;
  const sentAtMs = clock.nowMs();
  const claimed = await queue.claim(cls, { ...request, workerId });
  queueClock.sample(sentAtMs, claimed.nowMs);
  telemetry.clockOffset(-queueClock.offsetMs / 1_000);
  return claimed;
}

function batchOf(
  claimed: Claimed,
  rowsMax: number,
  reason: ReleaseReason,
  lane: LaneContext,
): BatchClaim {
  const { claims, suspectAhead, waiting } = claimed;
  const model = lane.manifest.name;
  for (const claim of claims) {
    lane.telemetry.jobStarted(model);
    if (claim.overtakenBy > 0) lane.telemetry.overtaken(model, claim.overtakenBy);
    if (claim.attempt > 1) lane.telemetry.retried(model, 'worker_lost');
  }
  const rows = claims.reduce((sum, claim) => sum + claim.job.rows, 0);
  if (claims.length > 0) lane.batchSize.claimed(rows, waiting);
  const hasReturned = claims.some((claim) => claim.attempt > 1);
  const shown = rows >= rowsMax ? 'full' : hasReturned ? 'returned' : reason;
  const jobs = claims.length === 0 ? [] : lane.leases.hold(lane.cls, claims);
  return { jobs, reason: shown, suspectAhead, lingerMs: null, waiting };
}
