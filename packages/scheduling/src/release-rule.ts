/**
 * When a batch departs. Pure: the caller passes the time and obeys.
 *
 * Promises, with a slot free: a full batch never waits, nobody waits longer than `linger.maxMs`, nobody
 * waits past the instant at which the latency target of the oldest job would break, and every wait for
 * company has an end. In mode `auto` a batch waits only for a row that gains more by it than the others
 * lose, and no longer than three times as long as rows take to arrive.
 */
import type { LingerSpec } from '@inferry/contracts';
import { invariant } from '@inferry/runtime';

/** A row that is late by so many times the usual distance is not coming. */
const patience = 3;

/**
 * Why a batch departed, as a label of metrics. `slot`: nothing is gained by waiting. `linger`: it waited
 * its time. `returned`: a job that came back is among it.
 */
export type ReleaseReason = 'full' | 'slot' | 'linger' | 'deadline' | 'returned';

/** What waits in one class. All instants are on the clock of `nowMs`. */
export interface WaitingView {
  readonly rowsWaiting: number;
  /** When the oldest waiting job was enqueued; null when none waits. */
  readonly oldestAtMs: number | null;
  /** When the last job was enqueued; null while none was. */
  readonly lastArrivalAtMs: number | null;
  /** Mean time between the arrivals of two rows, ms; null while nothing is known. */
  readonly rowEveryMs: number | null;
  /** Expected time until another server is free, ms; 0 when one is, null when there is no other. */
  readonly othersFreeInMs: number | null;
}

export interface ReleasePolicy {
  /** Rows of a full batch, at least 1. */
  readonly rowsMax: number;
  /** Whether, and how long, the oldest job may wait for a fuller batch while a slot is free. */
  readonly linger: LingerSpec;
  /** Desired time from acceptance to answer; null when none is set. */
  readonly latencyTargetMs: number | null;
  /** What a run of so many rows is expected to take, ms; undefined while nothing is known. */
  readonly meanRunMs: (rows: number) => number | undefined;
  /** What it takes at most, as a rule, ms; undefined while nothing is known. */
  readonly tailRunMs: (rows: number) => number | undefined;
}

export type ReleaseDecision =
  | { readonly do: 'release'; readonly reason: ReleaseReason }
  /** Ask again at `untilMs` at the latest; infinity while nothing waits. */
  | { readonly do: 'wait'; readonly untilMs: number };

/** Whether the waiting jobs go now, given that a slot is free. */
export function decideRelease(
  view: WaitingView,
  policy: ReleasePolicy,
  nowMs: number,
): ReleaseDecision {
  const { linger, rowsMax } = policy;
  const { oldestAtMs, rowsWaiting } = view;
  invariant(rowsMax >= 1, 'a batch holds at least one row');
  if (rowsWaiting === 0 || oldestAtMs === null) return { do: 'wait', untilMs: Infinity };
  if (rowsWaiting >= rowsMax) return release('full');
  const companyUntilMs = companyAwaitedUntilMs(view, policy, nowMs);
  if (nowMs >= companyUntilMs) return release('slot');

  const lingerUntilMs = oldestAtMs + linger.maxMs;
  if (nowMs >= lingerUntilMs) return release('linger');
  const startByMs = latestStartMs(rowsWaiting, oldestAtMs, policy);
  if (nowMs >= startByMs) return release('deadline');
  return { do: 'wait', untilMs: Math.min(companyUntilMs, lingerUntilMs, startByMs) };
}

/**
 * False when {@link decideRelease} never says `wait` for anything less than a full batch while rows arrive
 * every `rowEveryMs`: whoever asks may as well take what is there.
 */
export function mayLinger(policy: ReleasePolicy, rowEveryMs: number | null): boolean {
  const { linger, rowsMax } = policy;
  if (linger.mode === 'none' || linger.maxMs <= 0 || rowsMax <= 1) return false;
  if (linger.mode === 'defer') return true;
  if (rowEveryMs === null || rowEveryMs <= 0) return false;
  // A batch of one row has the least to lose, and with no other server the newcomer has the most to gain.
  return isCompanyWorth(1, rowEveryMs, null, policy);
}

/** Until when a further row is worth waiting for, and likely to come; in the past when it is not. */
function companyAwaitedUntilMs(view: WaitingView, policy: ReleasePolicy, nowMs: number): number {
  const { lastArrivalAtMs, othersFreeInMs, rowEveryMs, rowsWaiting } = view;
  if (!mayLinger(policy, rowEveryMs)) return -Infinity;
  if (policy.linger.mode === 'defer') return Infinity;
  if (rowEveryMs === null || lastArrivalAtMs === null) return -Infinity;
  if (!isCompanyWorth(rowsWaiting, rowEveryMs, othersFreeInMs, policy)) return -Infinity;
  return Math.min(lastArrivalAtMs, nowMs) + patience * rowEveryMs;
}

/**
 * Whether one more row gains more than those that wait for it lose. They are delayed by its arrival and by
 * its share of the run; it is spared the wait for the next free server, and rides in a larger batch.
 */
function isCompanyWorth(
  rowsWaiting: number,
  rowEveryMs: number,
  othersFreeInMs: number | null,
  { meanRunMs, rowsMax }: ReleasePolicy,
): boolean {
  const [oneMs, runMs, fullMs] = [1, rowsWaiting, rowsMax].map((rows) => meanRunMs(rows));
  if (oneMs === undefined || runMs === undefined || fullMs === undefined) return false;
  // Over the whole range: the difference between two neighbouring sizes is mostly noise.
  const rowMs = (fullMs - oneMs) / (rowsMax - 1);
  const nextFreeInMs = Math.min(runMs, othersFreeInMs ?? Infinity);
  const lostMs = rowsWaiting * (rowEveryMs + rowMs);
  const gainedMs = Math.max(0, nextFreeInMs - rowEveryMs) - rowMs * rowsWaiting;
  return lostMs < gainedMs;
}

/** When a batch with one more row must start, so that the oldest job still meets the latency target. */
function latestStartMs(rowsWaiting: number, oldestAtMs: number, policy: ReleasePolicy): number {
  if (policy.latencyTargetMs === null) return Infinity;
  const runMs = policy.tailRunMs(Math.min(rowsWaiting + 1, policy.rowsMax)) ?? 0;
  return oldestAtMs + policy.latencyTargetMs - runMs;
}

function release(reason: ReleaseReason): ReleaseDecision {
  return { do: 'release', reason };
}
