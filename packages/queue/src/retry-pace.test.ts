import fc from 'fast-check';
import { expect, test } from 'vitest';
import { RetryPace } from './retry-pace.ts';

const pairs = { rowMs: 30, batchRows: 2 };

test('as many as a batch holds come back when there is room, as many again a batch later', () => {
  const pace = new RetryPace();
  const told = [100, 100, 100, 100, 100].map((lateMs) =>
    pace.retryAfterMs(lateMs, 1, pairs, 1_000),
  );
  expect(told).toEqual([100, 100, 160, 160, 220]);
});

test('a request of several rows takes the places of several', () => {
  const pace = new RetryPace();
  const told = [1, 2, 2, 9, 1].map((rows) => pace.retryAfterMs(100, rows, pairs, 0));
  expect(told).toEqual([100, 160, 220, 280, 340]);
});

test('groups follow the room as it is seen at last, and none is made by a little drift', () => {
  const pace = new RetryPace();
  const told = [100, 110, 110, 90].map((lateMs) => pace.retryAfterMs(lateMs, 1, pairs, 0));
  expect(told).toEqual([100, 110, 170, 150]);
});

test('groups whose time is over are forgotten', () => {
  const pace = new RetryPace();
  for (let i = 0; i < 10; i += 1) pace.retryAfterMs(50, 1, pairs, 0);
  expect(pace.retryAfterMs(50, 1, pairs, 1_000)).toBe(50);
});

test('nobody is sent away for longer than one round and a batch, nor before there is room', () => {
  const refusal = fc.record({
    lateMs: fc.nat(1_000),
    rows: fc.integer({ min: 1, max: 9 }),
    rowMs: fc.nat(100),
    batchRows: fc.integer({ min: 1, max: 8 }),
    passMs: fc.nat(50),
  });
  fc.assert(
    fc.property(fc.array(refusal, { maxLength: 200 }), (refusals) => {
      const pace = new RetryPace();
      let nowMs = 0;
      for (const { lateMs, passMs, rows, ...served } of refusals) {
        nowMs += passMs;
        const told = pace.retryAfterMs(lateMs, rows, served, nowMs);
        expect(told).toBeGreaterThanOrEqual(Math.max(1, lateMs));
        expect(told).toBeLessThanOrEqual(Math.max(1, lateMs) + 5_000 + 8 * 100);
      }
    }),
  );
});
