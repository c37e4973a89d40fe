/** What the release rule promises, for every queue and every policy. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { decideRelease, type ReleasePolicy } from './release-rule.ts';

const policies = fc.record({
  rowsMax: fc.integer({ min: 1, max: 64 }),
  lingerMs: fc.integer({ min: 0, max: 1_000 }),
  latencyTargetMs: fc.option(fc.integer({ min: 1, max: 2_000 })),
  runMs: fc.option(fc.integer({ min: 0, max: 3_000 })),
});

function policyOf(drawn: {
  rowsMax: number;
  lingerMs: number;
  latencyTargetMs: number | null;
  runMs: number | null;
}): ReleasePolicy {
  return { ...drawn, tailRunMs: () => drawn.runMs ?? undefined };
}

describe('decideRelease', () => {
  test('with a free slot nobody waits longer than lingerMs', () => {
    fc.assert(
      fc.property(policies, fc.nat(100), fc.nat(5_000), (drawn, rows, ageMs) => {
        const policy = policyOf(drawn);
        const view = { rowsWaiting: rows + 1, oldestAtMs: 10_000 };
        const decision = decideRelease(view, policy, 10_000 + ageMs);
        if (decision.do === 'wait') {
          expect(ageMs).toBeLessThan(policy.lingerMs);
          expect(decision.untilMs).toBeLessThanOrEqual(10_000 + policy.lingerMs);
        }
      }),
    );
  });

  test('a wait ends in the future, and asked again then it is a release', () => {
    fc.assert(
      fc.property(policies, fc.nat(100), fc.nat(5_000), (drawn, rows, ageMs) => {
        const policy = policyOf(drawn);
        const view = { rowsWaiting: rows + 1, oldestAtMs: 10_000 };
        const first = decideRelease(view, policy, 10_000 + ageMs);
        if (first.do !== 'wait') return;
        expect(first.untilMs).toBeGreaterThan(10_000 + ageMs);
        expect(decideRelease(view, policy, first.untilMs).do).toBe('release');
      }),
    );
  });

  test('nothing waits while lingerMs is 0', () => {
    fc.assert(
      fc.property(policies, fc.nat(100), fc.nat(5_000), (drawn, rows, ageMs) => {
        const view = { rowsWaiting: rows + 1, oldestAtMs: 10_000 };
        const policy = { ...policyOf(drawn), lingerMs: 0 };
        expect(decideRelease(view, policy, 10_000 + ageMs).do).toBe('release');
      }),
    );
  });
});
