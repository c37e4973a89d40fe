/** Which way of isolating is cheaper, with the figures the rule was derived from. */
import { describe, expect, test } from 'vitest';
import { planIsolation } from './isolate.ts';

describe('planIsolation', () => {
  test('a large model is run one by one', () => {
    const runMs: Record<number, number> = { 1: 60, 2: 84, 4: 150 };
    expect(planIsolation(8, (items) => runMs[items])).toBe('one_by_one');
  });

  test('a model whose runs cost nearly the same at any size is bisected', () => {
    expect(planIsolation(32, (items) => 5 + 0.2 * items)).toBe('bisect');
  });

  test('while nothing is known the number of runs decides', () => {
    expect(planIsolation(2, () => undefined)).toBe('one_by_one');
    expect(planIsolation(32, () => undefined)).toBe('bisect');
  });
});
