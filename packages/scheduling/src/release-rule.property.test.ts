/** What the release rule promises, for every queue and every policy. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { decideRelease, mayLinger, type ReleasePolicy, type WaitingView } from './release-rule.ts';

const oldestAtMs = 10_000;
/** One in thirty is a wait in mode auto. */
const often = { numRuns: 2_000 };

/** Evenly spread, which fc.double is not: half of its numbers are next to nothing. */
function upTo(max: number): fc.Arbitrary<number> {
  return fc.nat(1_000_000).map((part) => (part / 1_000_000) * max);
}

const policies: fc.Arbitrary<ReleasePolicy> = fc
  .record({
    rowsMax: fc.integer({ min: 1, max: 64 }),
    linger: fc.record({
      mode: fc.constantFrom('none', 'auto', 'auto', 'auto', 'defer'),
      maxMs: fc.oneof(fc.nat(100), upTo(1_000)),
    }),
    latencyTargetMs: fc.option(fc.integer({ min: 1, max: 2_000 })),
    fixedMs: upTo(500),
    /** Mostly small beside the fixed time: only then is there something to wait for. */
    rowMs: fc.oneof(fc.constant(0), upTo(2), upTo(2), upTo(50)),
    tailFactor: upTo(2).map((more) => 1 + more),
    isKnown: fc.oneof({ weight: 5, arbitrary: fc.constant(true) }, fc.boolean()),
  })
  .map(({ fixedMs, isKnown, rowMs, tailFactor, ...policy }) => {
    const meanRunMs = (rows: number): number | undefined =>
      isKnown ? fixedMs + rowMs * rows : undefined;
    const tailRunMs = (rows: number): number | undefined =>
      isKnown ? tailFactor * (fixedMs + rowMs * rows) : undefined;
    return { ...policy, meanRunMs, tailRunMs };
  });

/** With the time of the question. */
const views = fc
  .record({
    rowsWaiting: fc.oneof(fc.integer({ min: 1, max: 5 }), fc.integer({ min: 1, max: 100 })),
    ageMs: fc.oneof(fc.nat(50), upTo(5), upTo(20), upTo(5_000)),
    sinceArrivalMs: fc.option(fc.oneof(fc.constant(0), upTo(10), upTo(100))),
    rowEveryMs: fc.option(fc.oneof(upTo(5), upTo(50))),
    othersFreeInMs: fc.option(fc.oneof(fc.constant(0), upTo(1_000))),
  })
  .map(({ ageMs, sinceArrivalMs, ...view }) => {
    const nowMs = oldestAtMs + ageMs;
    const lastArrivalAtMs =
      sinceArrivalMs === null ? null : Math.max(oldestAtMs, nowMs - sinceArrivalMs);
    return { view: { ...view, oldestAtMs, lastArrivalAtMs } satisfies WaitingView, nowMs };
  });

describe('decideRelease', () => {
  test('with a free slot nobody waits longer than the policy says', () => {
    fc.assert(
      fc.property(policies, views, (policy, { nowMs, view }) => {
        const decision = decideRelease(view, policy, nowMs);
        if (decision.do === 'release') return;
        expect(nowMs - oldestAtMs).toBeLessThan(policy.linger.maxMs);
        expect(decision.untilMs).toBeLessThanOrEqual(oldestAtMs + policy.linger.maxMs);
      }),
      often,
    );
  });

  test('nobody waits past the instant at which the oldest would miss the latency target', () => {
    fc.assert(
      fc.property(policies, views, (policy, { nowMs, view }) => {
        const decision = decideRelease(view, policy, nowMs);
        if (decision.do === 'release' || policy.latencyTargetMs === null) return;
        const runMs = policy.tailRunMs(view.rowsWaiting) ?? 0;
        const answerAtMs = decision.untilMs + runMs;
        expect(answerAtMs).toBeLessThanOrEqual(oldestAtMs + policy.latencyTargetMs + 1e-6);
      }),
      often,
    );
  });

  test('a full batch departs whatever the policy', () => {
    fc.assert(
      fc.property(policies, views, fc.nat(10), (policy, { nowMs, view }, more) => {
        const full = { ...view, rowsWaiting: policy.rowsMax + more };
        const decision = decideRelease(full, policy, nowMs);
        expect(decision).toEqual({ do: 'release', reason: 'full' });
      }),
      often,
    );
  });

  test('a wait ends in the future, and asked again then with nobody new it is a release', () => {
    fc.assert(
      fc.property(policies, views, (policy, { nowMs, view }) => {
        const first = decideRelease(view, policy, nowMs);
        if (first.do === 'release') return;
        expect(Number.isFinite(first.untilMs)).toBe(true);
        expect(first.untilMs).toBeGreaterThan(nowMs);
        expect(decideRelease(view, policy, first.untilMs).do).toBe('release');
      }),
      often,
    );
  });

  test('auto waits no longer than three times as long as rows take to arrive', () => {
    fc.assert(
      fc.property(policies, views, (policy, { nowMs, view }) => {
        const auto = { ...policy, linger: { ...policy.linger, mode: 'auto' as const } };
        const decision = decideRelease(view, auto, nowMs);
        if (decision.do === 'release') return;
        expect(decision.untilMs - nowMs).toBeLessThanOrEqual(3 * (view.rowEveryMs ?? 0) + 1e-6);
      }),
      often,
    );
  });

  test('auto waits only where it pays: n(i + a) < (R - i) - a n', () => {
    fc.assert(
      fc.property(policies, views, (policy, { nowMs, view }) => {
        const auto = { ...policy, linger: { ...policy.linger, mode: 'auto' as const } };
        if (decideRelease(view, auto, nowMs).do === 'release') return;
        const n = view.rowsWaiting;
        const i = view.rowEveryMs ?? Number.NaN;
        const runMs = policy.meanRunMs(n) ?? Number.NaN;
        const a = (policy.meanRunMs(1) ?? Number.NaN) - (policy.meanRunMs(0) ?? Number.NaN);
        const R = Math.min(runMs, view.othersFreeInMs ?? Infinity);
        expect(n * (i + a)).toBeLessThan(R - i - a * n + 1e-6);
      }),
      often,
    );
  });

  test('whoever may not linger is never told to wait', () => {
    fc.assert(
      fc.property(policies, views, (policy, { nowMs, view }) => {
        if (mayLinger(policy, view.rowEveryMs)) return;
        expect(decideRelease(view, policy, nowMs).do).toBe('release');
      }),
      often,
    );
  });

  test('of such policies some wait in every mode but none', () => {
    const waits = { none: 0, auto: 0, defer: 0 };
    fc.assert(
      fc.property(policies, views, (policy, { nowMs, view }) => {
        if (decideRelease(view, policy, nowMs).do === 'wait') waits[policy.linger.mode] += 1;
      }),
      { ...often, seed: 7 },
    );
    expect(waits.none).toBe(0);
    expect(waits.auto).toBeGreaterThan(50);
    expect(waits.defer).toBeGreaterThan(50);
  });
});
