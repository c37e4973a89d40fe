/** Claiming just in time. */
import { describe, expect, test } from 'vitest';
import { claimAheadAtMs } from './claim-ahead.ts';

const policy = { marginMs: 2, shareMin: 0.02, shareMax: 0.2 };

describe('claimAheadAtMs', () => {
  test('with a slot free the claim is due', () => {
    const view = { slotsFree: 1, running: [], prepareMs: 5 };
    expect(claimAheadAtMs(view, policy, 50)).toBe(50);
  });

  test('while nothing is known the claim is due', () => {
    const running = [{ startedAtMs: 50, expectedMs: undefined, tailFactor: 1 }];
    expect(claimAheadAtMs({ slotsFree: 0, running, prepareMs: 5 }, policy, 50)).toBe(50);
    const known = [{ startedAtMs: 50, expectedMs: 100, tailFactor: 1.1 }];
    expect(claimAheadAtMs({ slotsFree: 0, running: known, prepareMs: undefined }, policy, 50)).toBe(
      50,
    );
  });

  test('the batch is prepared a margin before the first run is expected to end', () => {
    const running = [
      { startedAtMs: 50, expectedMs: 100, tailFactor: 1.1 },
      { startedAtMs: 0, expectedMs: 300, tailFactor: 1.1 },
    ];
    expect(claimAheadAtMs({ slotsFree: 0, running, prepareMs: 20 }, policy, 60)).toBeCloseTo(
      118,
      6,
    );
  });

  test.each([
    [1, 126],
    [1.1, 118],
    [2, 108],
  ])('the margin follows how well runs can be foreseen: tail %d', (tailFactor, claimAtMs) => {
    const running = [{ startedAtMs: 50, expectedMs: 100, tailFactor }];
    const view = { slotsFree: 0, running, prepareMs: 20 };
    expect(claimAheadAtMs(view, policy, 60)).toBeCloseTo(claimAtMs, 6);
  });
});
