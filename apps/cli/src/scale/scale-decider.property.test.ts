/** What must hold whatever is wanted when, with a fixed seed. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { ScaleDecider } from './scale-decider.ts';

const seed = 20_261_121;

/** The usual value, `weight` times as often as another. */
function rarely<T>(weight: number, usual: T, other: fc.Arbitrary<T>): fc.Arbitrary<T> {
  return fc.oneof({ arbitrary: fc.constant(usual), weight }, { arbitrary: other, weight: 1 });
}

const scenario = fc
  .record({
    min: fc.integer({ min: 0, max: 2 }),
    room: fc.integer({ min: 0, max: 12 }),
    stabilizationMs: fc.integer({ min: 0, max: 15_000 }),
    cooldownMs: fc.integer({ min: 0, max: 20_000 }),
    looks: fc.array(
      fc.record({
        afterMs: fc.integer({ min: 1, max: 5_000 }),
        share: rarely(8, 0, fc.integer({ min: 0, max: 100 })),
        isAway: rarely(40, false, fc.constant(true)),
        isRunning: rarely(20, false, fc.constant(true)),
        died: rarely(20, 0, fc.constant(1)),
        draining: fc.integer({ min: 0, max: 3 }),
      }),
      { minLength: 1, maxLength: 120, size: 'max' },
    ),
  })
  .map(({ min, room, ...rest }) => ({ min, max: Math.max(1, min + room), ...rest }));

test('targets stay in bounds, steps are bounded, nothing flaps, and none is reached only after the cooldown', () => {
  let downs = 0;
  let zeros = 0;
  fc.assert(
    fc.property(scenario, ({ looks, ...options }) => {
      const { cooldownMs, max, min, stabilizationMs } = options;
      const decider = new ScaleDecider(options, 0);
      /** What was wanted, or had while nothing was known. */
      const known: { readonly atMs: number; readonly workers: number }[] = [];
      let [nowMs, workers, activeAtMs] = [0, min, 0];
      for (const { afterMs, died, draining, isAway, isRunning, share } of looks) {
        nowMs += afterMs;
        workers = Math.max(0, workers - died);
        if (isAway) {
          decider.missed(nowMs, workers);
          known.push({ atMs: nowMs, workers });
          activeAtMs = nowMs;
          continue;
        }
        const wanted = min + Math.round((share / 100) * (max - min));
        const isActive = isRunning || wanted > min;
        if (isActive) activeAtMs = nowMs;
        known.push({ atMs: nowMs, workers: wanted });
        const { target } = decider.decide({ nowMs, wanted, isActive, workers, draining });

        expect(target).toBeGreaterThanOrEqual(Math.min(workers, min));
        expect(target).toBeLessThanOrEqual(max);
        if (target > workers) {
          expect(target).toBeLessThanOrEqual(wanted);
          expect(target - workers).toBeLessThanOrEqual(Math.max(2, workers));
          expect(target + draining).toBeLessThanOrEqual(max);
        }
        if (target < workers) {
          downs += 1;
          const recent = known.filter(({ atMs }) => atMs >= nowMs - stabilizationMs);
          expect(target).toBe(Math.max(...recent.map((one) => one.workers), target === 1 ? 1 : 0));
        }
        if (target === 0 && workers > 0) {
          zeros += 1;
          expect(nowMs - activeAtMs).toBeGreaterThanOrEqual(cooldownMs);
        }
        workers = target;
      }
    }),
    { seed, numRuns: 300 },
  );
  expect(downs).toBeGreaterThan(500);
  expect(zeros).toBeGreaterThan(50);
});

test('a demand that stays is met exactly, in the end, from wherever it begins', () => {
  fc.assert(
    fc.property(scenario, fc.integer({ min: 0, max: 100 }), (given, share) => {
      const { cooldownMs, max, min, stabilizationMs } = given;
      const decider = new ScaleDecider(given, 0);
      const wanted = min + Math.round((share / 100) * (max - min));
      let workers = max;
      const untilMs = Math.max(stabilizationMs, cooldownMs) + 20_000;
      for (let nowMs = 1_000; nowMs <= untilMs; nowMs += 1_000) {
        const look = { nowMs, wanted, isActive: wanted > 0, workers, draining: 0 };
        workers = decider.decide(look).target;
      }
      expect(workers).toBe(wanted);
    }),
    { seed, numRuns: 300 },
  );
});
