/**
 * When a batch departs. Pure: the caller passes the time and obeys.
 *
 * Promises, with a slot free: a full batch never waits, nobody waits longer than `lingerMs`, nobody
 * waits past the instant at which the latency target of the oldest job would break, and with
 * `lingerMs` 0 nothing waits at all.
 */
import { invariant } from '@inferry/runtime';

/** Why a batch departed, as a label of metrics. `returned`: a job that came back is among it. */
export type ReleaseReason = 'full' | 'slot' | 'linger' | 'deadline' | 'returned';

/** What waits in one class. */
export interface WaitingView {
  readonly rowsWaiting: number;
  /** When the oldest waiting job was enqueued, on the clock of `nowMs`; null when none waits. */
  readonly oldestAtMs: number | null;
}

export interface ReleasePolicy {
  /** Rows of a full batch, at least 1. */
  readonly rowsMax: number;
  /** How long the oldest job may wait for a fuller batch while a slot is free; 0: never. */
  readonly lingerMs: number;
  /** Desired time from acceptance to answer; null when none is set. */
  readonly latencyTargetMs: number | null;
  /** What a run of so many rows takes at most, as a rule, in ms; undefined while nothing is known. */
  readonly tailRunMs: (rows: number) => number | undefined;
}

export type ReleaseDecision =
  | { readonly do: 'release'; readonly reason: ReleaseReason }
  /** Ask again at `untilMs` at the latest; infinity while nothing waits. */
  | { readonly do: 'wait'; readonly untilMs: number };

/** Whether the waiting jobs go now, given that a slot is free. `nowMs` is on the clock of `oldestAtMs`. */
export function decideRelease(
  view: WaitingView,
  policy: ReleasePolicy,
  nowMs: number,
): ReleaseDecision {
  invariant(policy.rowsMax >= 1, 'a batch holds at least one row');
  if (view.rowsWaiting === 0 || view.oldestAtMs === null) return { do: 'wait', untilMs: Infinity };
  if (view.rowsWaiting >= policy.rowsMax) return release('full');
  if (policy.lingerMs <= 0) return release('slot');

  const lingerUntilMs = view.oldestAtMs + policy.lingerMs;
  if (nowMs >= lingerUntilMs) return release('linger');
  const startByMs = latestStartMs(view.rowsWaiting, view.oldestAtMs, policy);
  if (nowMs >= startByMs) return release('deadline');
  return { do: 'wait', untilMs: Math.min(lingerUntilMs, startByMs) };
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
