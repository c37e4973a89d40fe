/** The watch on promises, window by window. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { PromiseWatch } from './promise-watch.ts';

/** A window with so many answers in time and so many late ones. */
function pass(watch: PromiseWatch, inTime: number, late: number): number {
  for (let i = 0; i < inTime; i += 1) watch.observe(-5);
  for (let i = 0; i < late; i += 1) watch.observe(5);
  watch.tick();
  return watch.factor;
}

describe('PromiseWatch', () => {
  test('promises that are kept need no care', () => {
    const watch = new PromiseWatch();
    expect(pass(watch, 50, 0)).toBe(1);
    expect(pass(watch, 0, 0)).toBe(1);
    watch.observe(0);
    watch.tick();
    expect(watch.factor).toBe(1);
  });

  test('a window in which every answer is late asks for a tenth more care, a single one too', () => {
    const watch = new PromiseWatch();
    expect(pass(watch, 0, 20)).toBeCloseTo(1.1);
    expect(pass(watch, 0, 1)).toBeCloseTo(1.21);
  });

  test('one late answer in a hundred is within bounds, two are not', () => {
    expect(pass(new PromiseWatch(), 99, 1)).toBe(1);
    expect(pass(new PromiseWatch(), 98, 2)).toBeCloseTo(1.1);
    expect(pass(new PromiseWatch(), 98, 1)).toBeCloseTo(1.1);
  });

  test('windows are judged each on their own', () => {
    const watch = new PromiseWatch();
    pass(watch, 0, 2);
    expect(pass(watch, 500, 0)).toBeCloseTo(1.1 * 0.98);
    expect(pass(watch, 50, 1)).toBeCloseTo(1.1 * 0.98 * 1.1);
  });

  test('trust comes back by 2 % a window, whether or not there are answers, and ends at 1', () => {
    const watch = new PromiseWatch();
    pass(watch, 0, 1);
    pass(watch, 0, 1);
    expect(pass(watch, 5, 0)).toBeCloseTo(1.21 * 0.98);
    for (let i = 0; i < 10; i += 1) pass(watch, 0, 0);
    expect(watch.factor).toBe(1);
  });

  test('whatever comes, care stays within 1..3', () => {
    const windows = fc.array(fc.array(fc.double(), { maxLength: 20 }), { maxLength: 60 });
    fc.assert(
      fc.property(windows, (windows) => {
        const watch = new PromiseWatch();
        for (const errors of windows) {
          for (const error of errors) watch.observe(error);
          watch.tick();
          expect(watch.factor).toBeGreaterThanOrEqual(1);
          expect(watch.factor).toBeLessThanOrEqual(3);
        }
        for (let i = 0; i < 30; i += 1) pass(watch, 0, 1);
        expect(watch.factor).toBe(3);
      }),
    );
  });
});
