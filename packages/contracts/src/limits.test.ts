import { InvariantError } from '@inferry/runtime';
import { describe, expect, test } from 'vitest';
import { checkLimits, defaultLimits, type Limits } from './limits.ts';

test('the defaults hold every relation and are positive whole numbers', () => {
  expect(() => checkLimits(defaultLimits)).not.toThrow();
  for (const [name, value] of Object.entries(defaultLimits)) {
    expect(Number.isSafeInteger(value) && value > 0, name).toBe(true);
  }
});

describe('a broken relation is named', () => {
  test.each<[Partial<Limits>, Partial<Limits>, string]>([
    [{ sweepMs: 2_501 }, { sweepMs: 2_500 }, 'sweepMs'],
    [{ leaseMs: 999 }, { leaseMs: 1_000 }, 'leaseMs'],
    [{ retentionMsMax: 86_399_999 }, { retentionMsMax: 86_400_000 }, 'retention'],
    [{ waitMsDefault: 55_001 }, { waitMsDefault: 55_000 }, 'default wait'],
    [{ deadlineMsDefault: 86_400_001 }, { deadlineMsDefault: 86_400_000 }, 'default deadline'],
  ])('%j breaks it, %j does not', (broken, edge, words) => {
    expect(() => checkLimits({ ...defaultLimits, ...broken })).toThrow(InvariantError);
    expect(() => checkLimits({ ...defaultLimits, ...broken })).toThrow(words);
    expect(() => checkLimits({ ...defaultLimits, ...edge })).not.toThrow();
  });
});
