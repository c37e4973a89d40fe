/** What the latency model promises, whatever ran. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { LatencyModel } from './latency-model.ts';

const samples = fc.array(
  fc.record({
    rows: fc.integer({ min: 1, max: 100 }),
    durationMs: fc.oneof(
      fc.double({ min: 0, max: 5_000, noNaN: true }),
      fc.constantFrom(0, Number.NaN, -1, Infinity, Number.MIN_VALUE, 86_400_000),
    ),
    isFirst: fc.boolean(),
    idleMs: fc.constantFrom(0, 0, 0, 5_000, 5_001, 600_000),
  }),
  { maxLength: 200 },
);

function learned(runs: Parameters<LatencyModel['record']>[0][]): LatencyModel {
  const model = new LatencyModel();
  for (const run of runs) model.record(run);
  return model;
}

/** What is known of a device that always rested is not stored. */
const warm = { rows: 8, durationMs: 20, isFirst: false, idleMs: 0 };

describe('LatencyModel', () => {
  test('answers are finite, not negative and never fall when rows rise', () => {
    fc.assert(
      fc.property(samples, (runs) => {
        const model = learned(runs);
        if (model.measured().length === 0) return;
        let before = 0;
        for (let rows = 1; rows <= 110; rows += 1) {
          const meanMs = model.meanMs(rows) ?? Number.NaN;
          expect(Number.isFinite(meanMs)).toBe(true);
          expect(meanMs).toBeGreaterThanOrEqual(before);
          expect(model.tailMs(rows)).toBeGreaterThanOrEqual(meanMs);
          expect(model.tailMs(rows)).toBeLessThanOrEqual(3 * meanMs);
          before = meanMs;
        }
      }),
    );
  });

  test('a time that is affine in rows is found exactly, whatever sizes ran, once two did', () => {
    const sizes = fc.uniqueArray(fc.integer({ min: 1, max: 64 }), { minLength: 2, maxLength: 10 });
    const time = fc.record({ fixedMs: fc.nat(500), rowMs: fc.nat(100), repeats: fc.nat(80) });
    fc.assert(
      fc.property(sizes, time, (rows, { fixedMs, rowMs, repeats }) => {
        const model = new LatencyModel();
        const run = (n: number): void => {
          model.record({ rows: n, durationMs: fixedMs + rowMs * n, isFirst: false, idleMs: 0 });
        };
        for (const n of rows) run(n);
        for (let i = 0; i < repeats; i += 1) run(rows[0] ?? 1);
        for (let n = 1; n <= 80; n += 1)
          expect(model.meanMs(n)).toBeCloseTo(fixedMs + rowMs * n, 6);
      }),
    );
  });

  test('after many equal runs of one size its answer is that time', () => {
    fc.assert(
      fc.property(samples, fc.nat(1_000), (runs, durationMs) => {
        const model = learned(runs.filter(({ rows }) => rows === 8));
        for (let i = 0; i < 1_500; i += 1)
          model.record({ rows: 8, durationMs, isFirst: false, idleMs: 0 });
        const before = model.measured()[0]?.meanMs;
        expect(model.meanMs(8)).toBeCloseTo(before ?? Number.NaN, 6);
        expect(model.meanMs(8)).toBeCloseTo(durationMs, 4);
      }),
    );
  });

  test('what a run took by what was expected is a number or nothing, and cold runs stay within 1..100', () => {
    fc.assert(
      fc.property(samples, (runs) => {
        const model = new LatencyModel();
        for (const run of runs) {
          const ratio = model.record(run);
          if (ratio !== null) expect(ratio).toBeGreaterThanOrEqual(0);
          expect(ratio).not.toBe(Infinity);
          expect(model.coldFactor).toBeGreaterThanOrEqual(1);
          expect(model.coldFactor).toBeLessThanOrEqual(100);
        }
      }),
    );
  });

  test('a seeded model answers as soundly as any other, and can be stored again', () => {
    fc.assert(
      fc.property(samples, samples, (first, second) => {
        const seed = learned([warm, ...first]).snapshot();
        const model = LatencyModel.seeded(seed);
        for (const run of second) model.record(run);
        let before = 0;
        for (let rows = 1; rows <= 110 && model.measured().length > 0; rows += 1) {
          const meanMs = model.meanMs(rows) ?? Number.NaN;
          expect(meanMs).toBeGreaterThanOrEqual(before);
          expect(meanMs).toBeLessThan(Infinity);
          before = meanMs;
        }
        const again = new LatencyModel(structuredClone(model.snapshot()));
        expect(again.meanMs(5)).toBe(model.meanMs(5));
      }),
    );
  });

  test('a model restored from its snapshot answers the same, and learns the same', () => {
    fc.assert(
      fc.property(samples, samples, (first, second) => {
        const model = learned([warm, ...first]);
        const restored = new LatencyModel(structuredClone(model.snapshot()));
        for (const run of second) {
          model.record(run);
          restored.record(run);
        }
        expect(restored.tailMs(7)).toBe(model.tailMs(7));
        expect(restored.measured()).toEqual(model.measured());
      }),
    );
  });
});
