/** The release rule by example. */
import { describe, expect, test } from 'vitest';
import { decideRelease, type ReleasePolicy } from './release-rule.ts';

const policy: ReleasePolicy = {
  rowsMax: 8,
  lingerMs: 20,
  latencyTargetMs: null,
  tailRunMs: (rows) => 10 + rows,
};

describe('decideRelease', () => {
  test('an empty queue waits for work without an end', () => {
    const decision = decideRelease({ rowsWaiting: 0, oldestAtMs: null }, policy, 100);
    expect(decision).toEqual({ do: 'wait', untilMs: Infinity });
  });

  test('a full batch departs at once', () => {
    const decision = decideRelease({ rowsWaiting: 8, oldestAtMs: 100 }, policy, 100);
    expect(decision).toEqual({ do: 'release', reason: 'full' });
  });

  test('without linger whatever waits departs as soon as the slot is free', () => {
    const decision = decideRelease(
      { rowsWaiting: 1, oldestAtMs: 100 },
      { ...policy, lingerMs: 0 },
      100,
    );
    expect(decision).toEqual({ do: 'release', reason: 'slot' });
  });

  test('a batch that is not full waits until the oldest has lingered long enough', () => {
    const view = { rowsWaiting: 3, oldestAtMs: 100 };
    expect(decideRelease(view, policy, 110)).toEqual({ do: 'wait', untilMs: 120 });
    expect(decideRelease(view, policy, 120)).toEqual({ do: 'release', reason: 'linger' });
  });

  test('the latency target ends the wait early, by the duration of a run with one more row', () => {
    const target = { ...policy, latencyTargetMs: 24 };
    const view = { rowsWaiting: 3, oldestAtMs: 100 };
    expect(decideRelease(view, target, 105)).toEqual({ do: 'wait', untilMs: 110 });
    expect(decideRelease(view, target, 110)).toEqual({ do: 'release', reason: 'deadline' });
  });

  test('the latency target holds before any run was measured', () => {
    const target = { ...policy, latencyTargetMs: 5, tailRunMs: () => undefined };
    const view = { rowsWaiting: 3, oldestAtMs: 100 };
    expect(decideRelease(view, target, 101)).toEqual({ do: 'wait', untilMs: 105 });
  });
});
