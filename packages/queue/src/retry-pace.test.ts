import fc from 'fast-check';
import { expect, test } from 'vitest';
import { RetryPace } from './retry-pace.ts';

test('the first who is refused comes back when there is room, the next a turn later each', () => {
  const pace = new RetryPace();
  const told = [100, 100, 100, 130].map((lateMs) => pace.retryAfterMs(lateMs, 30, 1_000));
  expect(told).toEqual([100, 130, 160, 190]);
});

test('turns that are over are forgotten', () => {
  const pace = new RetryPace();
  for (let i = 0; i < 10; i += 1) pace.retryAfterMs(50, 30, 0);
  expect(pace.retryAfterMs(50, 30, 1_000)).toBe(50);
});

test('nobody is sent away for longer than one round of turns, nor before there is room', () => {
  const refusal = fc.record({ lateMs: fc.nat(1_000), turnMs: fc.nat(400), passMs: fc.nat(50) });
  fc.assert(
    fc.property(fc.array(refusal, { maxLength: 200 }), (refusals) => {
      const pace = new RetryPace();
      let nowMs = 0;
      for (const { lateMs, passMs, turnMs } of refusals) {
        nowMs += passMs;
        const told = pace.retryAfterMs(lateMs, turnMs, nowMs);
        expect(told).toBeGreaterThanOrEqual(Math.max(1, lateMs));
        expect(told).toBeLessThanOrEqual(Math.max(1, lateMs) + 5_000);
      }
    }),
  );
});
