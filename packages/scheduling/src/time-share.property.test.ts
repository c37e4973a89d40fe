/** What shares of run time promise, over random runs and backlogs, with one slot. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { TimeShare } from './time-share.ts';

interface Cls {
  readonly name: string;
  readonly weight: number;
  /** Runs take up to so long. */
  readonly runMsMax: number;
}

const classes: fc.Arbitrary<readonly Cls[]> = fc
  .array(
    fc.record({
      weight: fc.integer({ min: 1, max: 10 }),
      runMsMax: fc.integer({ min: 1, max: 400 }),
    }),
    { minLength: 2, maxLength: 6 },
  )
  .map((drawn) => drawn.map((cls, at) => ({ name: `m${at}`, ...cls })));

/** What a run takes of the longest of its class. */
const parts = fc.integer({ min: 1, max: 1_000 }).map((part) => part / 1_000);

const runs = fc.array(parts, {
  minLength: 50,
  maxLength: 400,
});

function joined(classes: readonly Cls[]): TimeShare {
  const share = new TimeShare(1);
  for (const { name, weight } of classes) share.join(name, weight);
  return share;
}

describe('TimeShare', () => {
  test('while all have work, any two have had the same time by weight, within a run of each', () => {
    fc.assert(
      fc.property(classes, runs, (classes, runs) => {
        const share = joined(classes);
        const hadMs = new Map(classes.map(({ name }) => [name, 0]));
        for (const { name } of classes) share.wants(name);
        for (const part of runs) {
          const cls = classes.find(({ name }) => name === share.next())!;
          share.takes(cls.name);
          share.charge(cls.name, part * cls.runMsMax);
          hadMs.set(cls.name, hadMs.get(cls.name)! + part * cls.runMsMax);
          for (const a of classes) {
            for (const b of classes) {
              const apart = hadMs.get(a.name)! / a.weight - hadMs.get(b.name)! / b.weight;
              expect(apart).toBeLessThanOrEqual(a.runMsMax / a.weight + 1e-6);
            }
          }
        }
      }),
    );
  });

  test('who wants its next turn at once has it within the bound, whatever the others do', () => {
    /** Which others want: one bit each, drawn anew for each run. */
    const steps = fc.array(fc.record({ part: parts, wanting: fc.nat(63) }), {
      minLength: 50,
      maxLength: 400,
    });
    fc.assert(
      fc.property(classes, steps, (classes, steps) => {
        const share = joined(classes);
        const [own, ...others] = classes;
        const boundMs = others.reduce(
          (sum, { runMsMax, weight }) => sum + (own!.runMsMax * weight) / own!.weight + runMsMax,
          own!.runMsMax,
        );
        share.wants(own!.name);
        let nowMs = 0;
        let turnAtMs = 0;
        for (const { part, wanting } of steps) {
          for (const [at, { name }] of others.entries()) {
            if (((wanting >> at) & 1) === 1) share.wants(name);
            else share.rests(name);
          }
          const cls = classes.find(({ name }) => name === share.next())!;
          expect(nowMs - turnAtMs).toBeLessThanOrEqual(boundMs + 1e-6);
          if (cls === own) turnAtMs = nowMs;
          share.takes(cls.name);
          share.charge(cls.name, part * cls.runMsMax);
          nowMs += part * cls.runMsMax;
        }
      }),
    );
  });

  test('an expected time that is corrected later counts like the true one', () => {
    const charges = fc.array(fc.record({ expectedMs: fc.nat(400), ms: fc.nat(400) }), {
      maxLength: 100,
    });
    fc.assert(
      fc.property(classes, charges, (classes, charges) => {
        const exact = joined(classes);
        const corrected = joined(classes);
        for (const { name } of classes) for (const share of [exact, corrected]) share.wants(name);
        for (const { expectedMs, ms } of charges) {
          // Whole weights of time, so that both add up alike.
          const cls = classes.find(({ name }) => name === exact.next())!;
          expect(corrected.next()).toBe(cls.name);
          for (const share of [exact, corrected]) share.takes(cls.name);
          exact.charge(cls.name, ms * cls.weight);
          corrected.charge(cls.name, expectedMs * cls.weight);
          corrected.charge(cls.name, (ms - expectedMs) * cls.weight);
        }
      }),
    );
  });

  test('stretch is the time of all by the time of one: shares of those that want add up to the device', () => {
    fc.assert(
      fc.property(classes, (classes) => {
        const share = joined(classes);
        for (const { name } of classes) share.wants(name);
        const all = classes.reduce((sum, { name }) => sum + 1 / share.stretch(name), 0);
        expect(all).toBeCloseTo(1);
      }),
    );
  });
});
