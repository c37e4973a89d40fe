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
  }),
  { maxLength: 200 },
);

function learned(runs: Parameters<LatencyModel['record']>[0][]): LatencyModel {
  const model = new LatencyModel();
  for (const run of runs) model.record(run);
  return model;
}

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
        const run = (n: number): void =>
          model.record({ rows: n, durationMs: fixedMs + rowMs * n, isFirst: false });
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
        for (let i = 0; i < 1_500; i += 1) model.record({ rows: 8, durationMs, isFirst: false });
        const before = model.measured()[0]?.meanMs;
        expect(model.meanMs(8)).toBeCloseTo(before ?? Number.NaN, 6);
        expect(model.meanMs(8)).toBeCloseTo(durationMs, 4);
      }),
    );
  });

  test('a model restored from its snapshot answers the same, and learns the same', () => {
    fc.assert(
      fc.property(samples, samples, (first, second) => {
        const model = learned(first);
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
