import { seededRandom } from '@inferry/runtime';
import { expect, test } from 'vitest';
import { Durations } from './durations.ts';

test('of no durations, everything is zero', () => {
  expect(new Durations().summary()).toEqual({
    count: 0,
    mean_ms: 0,
    std_ms: 0,
    median_ms: 0,
    p99_ms: 0,
    min_ms: 0,
    max_ms: 0,
  });
});

test('mean, deviation and extremes are exact; a quantile is the least that the share stays within', () => {
  const durations = Durations.of([4, 1, 3, 2]);
  expect(durations.summary()).toEqual({
    count: 4,
    mean_ms: 2.5,
    std_ms: 1.12,
    median_ms: 2,
    p99_ms: 4,
    min_ms: 1,
    max_ms: 4,
  });
});

test('quantiles are right to a thousandth from a microsecond to a day', () => {
  const random = seededRandom(3);
  const many = Array.from({ length: 20_000 }, () => 10 ** (random.unit() * 10 - 3));
  const durations = Durations.of(many);
  const sorted = many.toSorted((a, b) => a - b);
  for (const share of [0.01, 0.25, 0.5, 0.9, 0.95, 0.99, 0.999, 1]) {
    const exact = sorted[Math.ceil(share * sorted.length) - 1]!;
    const tolerance = Math.max(0.001, exact / 1_000);
    expect(Math.abs(durations.quantileMs(share) - exact)).toBeLessThanOrEqual(tolerance);
  }
});

test('parts that were recorded apart are together what they are recorded together', () => {
  const random = seededRandom(5);
  const many = Array.from({ length: 3_000 }, () => random.unit() * 100);
  const together = new Durations();
  for (const part of [many.slice(0, 1_000), [], many.slice(1_000)]) {
    together.merge(Durations.of(part));
  }
  expect(together.summary()).toEqual(Durations.of(many).summary());
});

test('what is longer than a day or less than nothing is kept within bounds', () => {
  const durations = Durations.of([-5, 1e12]);
  expect(durations.minMs).toBe(0);
  expect(durations.maxMs).toBe(1e12);
  expect(durations.quantileMs(1)).toBeGreaterThanOrEqual(86_400_000 * 0.999);
});
