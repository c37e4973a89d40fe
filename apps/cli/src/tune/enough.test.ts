import { expect, test } from 'vitest';
import { isEnough } from './enough.ts';

test('noisy batches are repeated until their mean is known to 2 %, or their share of the time is over', () => {
  const steady = Array.from({ length: 16 }, () => ({ prepareMs: 0, computeMs: 10, cycleMs: 10 }));
  const noisy = steady.map((sample, i) => ({ ...sample, computeMs: i % 2 === 0 ? 5 : 15 }));
  const time = { spentMs: 200, sizeMs: 1_000, leftMs: 5_000 };
  expect(isEnough(steady, 2, time)).toBe(true);
  expect(isEnough(steady, 3, time)).toBe(false);
  expect(isEnough(steady, 2, { ...time, spentMs: 100 })).toBe(false);
  expect(isEnough(noisy, 2, time)).toBe(false);
  expect(isEnough(noisy, 2, { ...time, spentMs: 1_000 })).toBe(true);
  expect(isEnough(steady.slice(0, 2), 2, { ...time, spentMs: 1_000 })).toBe(false);
  expect(isEnough(steady.slice(0, 1), 2, { ...time, spentMs: 5_000 })).toBe(true);
});
