/** Fair queueing by example. */
import { describe, expect, test } from 'vitest';
import { flowWeight, nextTag, rowsBetween, startTag, timeAfter } from './fair-queue.ts';

/** One row of a flow of weight 1. */
const rowTag = nextTag(0, 1, 1);

describe('fair queueing', () => {
  test('the weight of a flow is that of its tenant by 8, 4 or 1', () => {
    const weights = (['high', 'normal', 'low'] as const).map((priority) => flowWeight(3, priority));
    expect(weights).toEqual([24, 12, 3]);
    expect(() => flowWeight(0, 'low')).toThrow('a weight is a whole number');
  });

  test('a flow that was idle starts where service is, one that was busy after its last job', () => {
    expect(startTag(100, 0)).toBe(100);
    expect(startTag(100, 250)).toBe(250);
  });

  test('a job moves its flow by its rows, and by less the more the flow weighs', () => {
    expect(nextTag(100, 3, 4)).toBe(100 + (3 * rowTag) / 4);
    expect(nextTag(0, 1, 8)).toBe(rowTag / 8);
    expect(() => nextTag(0, 0, 1)).toThrow('a job has rows');
  });

  test('a tag tells how many rows its flow has asked for beyond virtual time', () => {
    const tag = nextTag(nextTag(100, 3, 4), 2, 4);
    expect(rowsBetween(100, tag, 4)).toBe(5);
    expect(rowsBetween(101, tag, 4)).toBe(4);
    expect(rowsBetween(tag, tag, 4)).toBe(0);
    expect(rowsBetween(tag + 1, tag, 4)).toBe(0);
  });

  test('weights up to 10 of any priority divide a row without a rest', () => {
    for (let tenant = 1; tenant <= 10; tenant += 1) {
      for (const priority of ['high', 'normal', 'low'] as const) {
        expect(Number.isInteger(rowTag / flowWeight(tenant, priority))).toBe(true);
      }
    }
  });

  test('what came back at its old tag is before everything that was not taken', () => {
    const now = timeAfter(0, 500);
    expect(startTag(now, 0)).toBeGreaterThan(500);
    expect(timeAfter(now, 200)).toBe(now);
  });
});
