/** One claim for a class: asks the release rule whether what waits goes now, and takes it. */
import type { Claim, Claimed, ClaimRequest } from '@inferry/queue';
import { decideRelease, mayLinger, type ReleaseReason } from '@inferry/scheduling';
import type { LaneContext } from './deps.ts';
import type { HeldJob } from './held-job.ts';

export interface BatchClaim {
  /** Empty when nothing was taken; the other members say what to do then. */
  readonly jobs: readonly HeldJob[];
  readonly rows: number;
  readonly reason: ReleaseReason;
  readonly suspectAhead: boolean;
  /** Jobs linger for a fuller batch: ask again after so many ms. Null when none do. */
  readonly lingerMs: number | null;
  /** Jobs left waiting. */
  readonly waiting: number;
  /** Mean time between the arrivals of two rows, ms; null while nothing is known. */
  readonly rowEveryMs: number | null;
}

/** What the lane knows when it claims. */
export interface ClaimView {
  /** One entry a slot: expected time until it is free of what was claimed for it before, ms. */
  readonly freeInMs: readonly number[];
  /** What the last claim said of the distance of arrivals. */
  readonly rowEveryMs: number | null;
}

/** How often a lingering batch is looked at again, as a share of the linger time. */
const looksPerLinger = 4;
/** And at least so often: a batch that became full departs no later than that. */
const lookMsMax = 10;

/** Takes the longest allowed prefix of ordinary jobs, when the release rule lets them go. */
export async function claimBatch(lane: LaneContext, view: ClaimView): Promise<BatchClaim> {
  const { batchSize, manifest } = lane;
  const { linger, latencyTargetMs } = manifest;
  const { latency } = batchSize;
  const rowsMax = batchSize.rowsToClaim();
  const policy = {
    rowsMax,
    linger,
    latencyTargetMs,
    meanRunMs: (rows: number) => latency.meanMs(rows),
    tailRunMs: (rows: number) => latency.tailMs(rows),
  };
  const { freeInMs } = view;
  const whatever = { rowsMax, rowsMin: 1, takeSuspect: false, freeInMs };
  // One exchange where the answer is known: less than a full batch would not be left to wait either.
  if (!mayLinger(policy, view.rowEveryMs)) return take(lane, whatever, 'slot');
  const enough = Math.min(rowsMax, linger.rowsEnough ?? rowsMax);
  const full = await ask(lane, { ...whatever, rowsMin: enough });
  // Less than enough is taken here only when a job came back: it does not wait for company.
  if (full.claims.length > 0 || full.rowsWaiting === 0) {
    return batchOf(full, enough, 'returned', lane);
  }
  const decision = decideRelease(full, policy, full.nowMs);
  if (decision.do === 'release') return take(lane, whatever, decision.reason);
  const nextLookMs = Math.min(lookMsMax, Math.max(1, linger.maxMs / looksPerLinger));
  const waitMs = Math.min(decision.untilMs - full.nowMs, nextLookMs);
  return { ...batchOf(full, rowsMax, 'linger', lane), lingerMs: waitMs };
}

/** Takes one suspect, or whatever heads the class by now. The caller has the process to itself. */
export async function claimSuspect(
  lane: LaneContext,
  { freeInMs }: Pick<ClaimView, 'freeInMs'>,
): Promise<BatchClaim> {
  const { rowsMax } = lane.batchSize;
  return take(lane, { rowsMax, rowsMin: 1, takeSuspect: true, freeInMs }, 'slot');
}

type Asked = Omit<ClaimRequest, 'workerId' | 'agingMs'>;

async function take(lane: LaneContext, request: Asked, reason: ReleaseReason): Promise<BatchClaim> {
  return batchOf(await ask(lane, request), request.rowsMax, reason, lane);
}

/** A claim as it is, with what it tells of clocks and of jobs whose time ran out. */
export async function ask(
  lane: Pick<
    LaneContext,
    'clock' | 'cls' | 'manifest' | 'queue' | 'queueClock' | 'statistics' | 'telemetry' | 'workerId'
  >,
  request: Asked,
): Promise<Claimed> {
  const { clock, cls, manifest, queue, queueClock, telemetry, workerId } = lane;
  const sentAtMs = clock.nowMs();
  const { agingMs } = manifest;
  const claimed = await queue.claim(cls, { ...request, workerId, agingMs });
  queueClock.sample(sentAtMs, claimed.nowMs);
  telemetry.clockOffset(-queueClock.offsetMs / 1_000);
  if (claimed.expired.length > 0) telemetry.jobsSwept(cls, claimed.expired);
  lane.statistics.swept(cls, claimed.expired);
  return claimed;
}

function batchOf(
  claimed: Claimed,
  rowsMax: number,
  reason: ReleaseReason,
  lane: LaneContext,
): BatchClaim {
  const { claims, rowEveryMs, suspectAhead, waiting, workers } = claimed;
  noteStarts(claims, lane);
  const rows = claims.reduce((sum, claim) => sum + claim.job.rows, 0);
  if (claims.length > 0) lane.batchSize.claimed(rows, waiting, workers);
  const hasReturned = claims.some((claim) => claim.attempt > 1);
  const shown = rows >= rowsMax ? 'full' : hasReturned ? 'returned' : reason;
  const jobs = claims.length === 0 ? [] : lane.leases.hold(lane.cls, claims, shown);
  return { jobs, rows, reason: shown, suspectAhead, lingerMs: null, waiting, rowEveryMs };
}

export function noteStarts(
  claims: readonly Claim[],
  { manifest, telemetry, watch }: Pick<LaneContext, 'manifest' | 'telemetry' | 'watch'>,
): void {
  const model = manifest.name;
  for (const claim of claims) {
    telemetry.jobStarted(model);
    watch.claimed(claim);
    if (claim.overtakenBy > 0) telemetry.overtaken(model, claim.overtakenBy);
    if (claim.attempt > 1) telemetry.retried(model, 'worker_lost');
  }
}
