import { expect, test } from 'vitest';
import { isStable } from './stability.ts';

function windows(paces: readonly number[], latencies: readonly (number | null)[]) {
  return paces.map((pace, i) => ({ pace, throughput: i, latencyMs: latencies[i] ?? null }));
}

test('three windows that differ little are stable, two are not enough', () => {
  expect(isStable(windows([100, 105, 97], [10, 10.5, 9.7]), 0.1)).toBe(true);
  expect(isStable(windows([100, 100], [10, 10]), 0.1)).toBe(false);
});

test('pace and latency both have to agree', () => {
  expect(isStable(windows([100, 100, 130], [10, 10, 10]), 0.1)).toBe(false);
  expect(isStable(windows([100, 100, 100], [10, 10, 13]), 0.1)).toBe(false);
});

test('only the last three count', () => {
  expect(isStable(windows([900, 1, 100, 100, 100], [1, 99, 10, 10, 10]), 0.1)).toBe(true);
  expect(isStable(windows([100, 100, 100, 900], [10, 10, 10, 10]), 0.1)).toBe(false);
});

test('a drift is not stable, however small its steps are', () => {
  expect(isStable(windows([100, 100, 100], [10, 10.9, 11.8]), 0.1)).toBe(false);
});

test('the bound itself is within', () => {
  expect(isStable(windows([100, 105, 110], [20, 20, 22]), 0.1)).toBe(true);
  expect(isStable(windows([100, 105, 111], [20, 20, 22]), 0.1)).toBe(false);
  expect(isStable(windows([100, 105, 110], [20, 20, 23]), 0.1)).toBe(false);
});

test('windows in which nothing succeeded never agree', () => {
  expect(isStable(windows([0, 0, 0], [null, null, null]), 0.1)).toBe(false);
  expect(isStable(windows([100, 100, 100], [10, null, 10]), 0.1)).toBe(false);
});
