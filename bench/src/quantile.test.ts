import { expect, test } from 'vitest';
import { median, quantile } from './quantile.ts';

test('a quantile lies between the values nearest to it', () => {
  expect(median([3, 1, 2])).toBe(2);
  expect(median([4, 1, 2, 3])).toBe(2.5);
  expect([0, 0.1, 0.25, 1].map((share) => quantile([10, 20, 30, 40, 50], share))).toEqual([
    10, 14, 20, 50,
  ]);
  expect(median([])).toBe(0);
});
