/** Means of the last runs. */
import { describe, expect, test } from 'vitest';
import { RunDurations } from './run-durations.ts';

describe('RunDurations', () => {
  test('nothing is known before the first run', () => {
    expect(new RunDurations().meanMs(1)).toBeUndefined();
  });

  test('only the last runs of a size count', () => {
    const durations = new RunDurations(2);
    for (const ms of [100, 10, 20]) durations.record(4, ms);
    expect(durations.meanMs(4)).toBe(15);
  });

  test('a size between two measured ones lies on the line between them', () => {
    const durations = new RunDurations();
    durations.record(2, 10);
    durations.record(6, 30);
    durations.record(16, 1_000);
    expect(durations.meanMs(4)).toBe(20);
  });

  test('a size beyond the measured ones takes the nearest', () => {
    const durations = new RunDurations();
    durations.record(2, 10);
    durations.record(6, 30);
    expect(durations.meanMs(1)).toBe(10);
    expect(durations.meanMs(64)).toBe(30);
  });
});
