import { expect, test } from 'vitest';
import { parseServerTiming } from './server-timing.ts';

test('durations are read by name; a description and an entry without a duration do no harm', () => {
  const header = 'queue_wait;dur=1.250, cache;desc="hit", db;desc=x;dur=3, total;dur=5.000';
  expect([...parseServerTiming(header)]).toEqual([
    ['queue_wait', 1.25],
    ['db', 3],
    ['total', 5],
  ]);
});

test('no header is no durations, and a long one is read up to a bound', () => {
  expect(parseServerTiming(null).size).toBe(0);
  expect(parseServerTiming('').size).toBe(0);
  const long = Array.from({ length: 1_000 }, (_, i) => `s${i};dur=1`).join(', ');
  expect(parseServerTiming(long).size).toBe(32);
});
