import { describe, expect, test } from 'vitest';
import { type Look, ScaleDecider } from './scale-decider.ts';

const options = { min: 0, max: 10, stabilizationMs: 300_000, cooldownMs: 600_000 };
const calm = { isActive: false, draining: 0 };

/** Looks at the given times, with as many workers as were decided before. */
function run(
  looks: readonly (readonly [seconds: number, wanted: number])[],
  given: Partial<typeof options> = {},
): readonly string[] {
  const decider = new ScaleDecider({ ...options, ...given }, 0);
  let workers = given.min ?? 0;
  return looks.map(([seconds, wanted]) => {
    const look: Look = {
      nowMs: seconds * 1_000,
      wanted,
      isActive: wanted > 0,
      workers,
      draining: 0,
    };
    const { cause, target } = decider.decide(look);
    workers = target;
    return `${target} ${cause}`;
  });
}

describe('up', () => {
  test('two at first, then twice as many with each look', () => {
    const looks = [0, 1, 2, 3, 4].map((second) => [second, 9] as const);
    expect(run(looks)).toEqual(['2 step', '4 step', '8 step', '9 wanted', '9 steady']);
  });

  test('one that is wanted is started at once', () => {
    expect(run([[0, 1]])).toEqual(['1 wanted']);
  });

  test('those that drain take their places until they have ended', () => {
    const decider = new ScaleDecider(options, 0);
    const look = { nowMs: 0, wanted: 10, isActive: true, workers: 3 };
    expect(decider.decide({ ...look, draining: 5 })).toEqual({ target: 5, cause: 'full' });
    expect(decider.decide({ ...look, draining: 7 })).toEqual({ target: 3, cause: 'full' });
    expect(decider.decide({ ...look, draining: 0 })).toEqual({ target: 6, cause: 'step' });
  });
});

describe('down', () => {
  test('to the most that were wanted in the window, its first and last instant included', () => {
    const looks = [
      [0, 2],
      [1, 4],
      [100, 3],
      [200, 1],
      [301, 1],
      [302, 1],
      [400, 1],
      [401, 1],
      [501, 1],
    ] as const;
    expect(run(looks)).toEqual([
      '2 wanted',
      '4 wanted',
      '4 stabilization',
      '4 stabilization',
      '4 stabilization',
      '3 stabilization',
      '3 stabilization',
      '1 wanted',
      '1 steady',
    ]);
  });

  test('to none only when nothing happened for the cooldown', () => {
    const looks = [
      [0, 1],
      [10, 0],
      [20, 0],
      [40, 0],
      [41, 1],
    ] as const;
    const given = { stabilizationMs: 5_000, cooldownMs: 40_000 };
    expect(run(looks, given)).toEqual([
      '1 wanted',
      '1 cooldown',
      '1 cooldown',
      '0 wanted',
      '1 wanted',
    ]);
  });

  test('a run that takes longer than the cooldown keeps its worker, although nothing waits', () => {
    const decider = new ScaleDecider({ ...options, stabilizationMs: 0, cooldownMs: 10_000 }, 0);
    const look = { wanted: 0, workers: 1, draining: 0 };
    expect(decider.decide({ ...look, nowMs: 60_000, isActive: true }).target).toBe(1);
    expect(decider.decide({ ...look, nowMs: 69_999, isActive: false }).target).toBe(1);
    expect(decider.decide({ ...look, nowMs: 70_000, isActive: false }).target).toBe(0);
  });

  test('workers that were lost are not made up for by what was wanted earlier', () => {
    const decider = new ScaleDecider(options, 0);
    decider.decide({ ...calm, nowMs: 0, wanted: 8, workers: 8 });
    const look = { ...calm, nowMs: 1_000, wanted: 2, workers: 3 };
    expect(decider.decide(look)).toMatchObject({ target: 3 });
  });
});

describe('while the queue does not tell', () => {
  test('and for a whole window and cooldown afterwards, nothing is drained', () => {
    const given = { ...options, stabilizationMs: 20_000, cooldownMs: 50_000 };
    const decider = new ScaleDecider(given, 0);
    for (let second = 1; second <= 500; second += 1) decider.missed(second * 1_000, 3);
    const at = (second: number): number =>
      decider.decide({ ...calm, nowMs: second * 1_000, wanted: 0, workers: 3 }).target;
    expect([501, 520, 521, 549, 550].map(at)).toEqual([3, 3, 1, 1, 0]);
  });
});
