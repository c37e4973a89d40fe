/** Claiming just in time. */
import { describe, expect, test } from 'vitest';
import { claimAheadAtMs } from './claim-ahead.ts';

const policy = { marginMs: 2, marginShare: 0.1 };

describe('claimAheadAtMs', () => {
  test('with a slot free the claim is due', () => {
    const view = { slotsFree: 1, running: [], prepareMs: 5 };
    expect(claimAheadAtMs(view, policy, 50)).toBe(50);
  });

  test('while nothing is known the claim is due', () => {
    const running = [{ startedAtMs: 50, expectedMs: undefined }];
    expect(claimAheadAtMs({ slotsFree: 0, running, prepareMs: 5 }, policy, 50)).toBe(50);
    const known = [{ startedAtMs: 50, expectedMs: 100 }];
    expect(claimAheadAtMs({ slotsFree: 0, running: known, prepareMs: undefined }, policy, 50)).toBe(
      50,
    );
  });

  test('the batch is prepared a margin before the first run is expected to end', () => {
    const running = [
      { startedAtMs: 50, expectedMs: 100 },
      { startedAtMs: 0, expectedMs: 300 },
    ];
    expect(claimAheadAtMs({ slotsFree: 0, running, prepareMs: 20 }, policy, 60)).toBe(118);
  });
});
