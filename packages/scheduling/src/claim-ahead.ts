/**
 * When to claim the next batch while all slots are busy: just in time. Claimed too early, jobs are bound
 * to this worker while another could have served them sooner, and the batch is smaller than it need
 * be; claimed too late, the slot idles while the batch is prepared.
 */

/** One run in progress. */
export interface RunningView {
  readonly startedAtMs: number;
  /** Expected duration in ms; undefined while nothing is known. */
  readonly expectedMs: number | undefined;
  /** 95 of 100 such runs stay within this factor of it: how well it can be foreseen. */
  readonly tailFactor: number;
}

export interface ClaimAheadView {
  readonly slotsFree: number;
  /** One entry a busy slot. */
  readonly running: readonly RunningView[];
  /** Expected time from the claim to a prepared batch in ms; undefined while nothing is known. */
  readonly prepareMs: number | undefined;
}

export interface ClaimAheadPolicy {
  /** Prepared at least this long before the slot is expected to be free, in ms. */
  readonly marginMs: number;
  /**
   * And by a share of the expected run, as large as the tail exceeds it, between these two: what runs longer
   * now and then ends earlier now and then, and long runs are harder to foresee.
   */
  readonly shareMin: number;
  readonly shareMax: number;
}

/**
 * The instant at which to claim: at most `nowMs` means at once, which is the answer when a slot is free or
 * when a duration is unknown. Always finite, and never later than the expected end of the first run to end.
 */
export function claimAheadAtMs(
  view: ClaimAheadView,
  policy: ClaimAheadPolicy,
  nowMs: number,
): number {
  if (view.slotsFree > 0 || view.running.length === 0 || view.prepareMs === undefined) return nowMs;
  let earliestMs = Infinity;
  for (const run of view.running) {
    if (run.expectedMs === undefined) return nowMs;
    const share = Math.min(Math.max(run.tailFactor - 1, policy.shareMin), policy.shareMax);
    const marginMs = policy.marginMs + share * run.expectedMs;
    const claimAtMs = run.startedAtMs + run.expectedMs - view.prepareMs - marginMs;
    earliestMs = Math.min(earliestMs, claimAtMs);
  }
  return earliestMs;
}
