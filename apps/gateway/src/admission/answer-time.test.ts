import { expect, test } from 'vitest';

import { AnswerTime } from './answer-time.ts';

test('it follows what answers take, with a margin for those that vary', () => {
  const steady = new AnswerTime();
  const varying = new AnswerTime();
  for (let i = 0; i < 100; i += 1) {
    steady.observe(5);
    varying.observe(i % 2 === 0 ? 1 : 9);
  }
  expect(steady.expectedMs).toBeCloseTo(5, 1);
  expect(varying.expectedMs).toBeGreaterThan(9);
});

test('an outage, and two clocks that disagree, teach nothing', () => {
  const time = new AnswerTime();
  const before = time.expectedMs;
  for (const ms of [60_000, -5, Number.NaN]) time.observe(ms);
  expect(time.expectedMs).toBe(before);
});
