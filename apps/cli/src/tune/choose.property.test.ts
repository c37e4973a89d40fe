/** The choice against a plain search through all settings and sizes, with exact costs. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { exactCurve } from './choose.fixture.ts';
import { choose, nextRows } from './choose.ts';
import { type CurvePoint, type SetupCurve } from './curve.ts';
import { exactPoint } from './choose.fixture.ts';

const overheadMs = 2;
const setting = fc.record({
  instances: fc.integer({ min: 1, max: 8 }),
  threads: fc.integer({ min: 1, max: 8 }),
  fixedMs: fc.double({ min: 0, max: 100, noNaN: true }),
  rowMs: fc.double({ min: 0.01, max: 50, noNaN: true }),
});
const cases = fc.record({
  settings: fc.array(setting, { minLength: 1, maxLength: 6 }),
  latencyTargetMs: fc.option(fc.double({ min: 1, max: 500, noNaN: true }), { nil: null }),
  rowsMax: fc.integer({ min: 1, max: 128 }),
});

test('what is chosen keeps the target when anything does, and is within 10 % of the best there is', () => {
  fc.assert(
    fc.property(cases, ({ latencyTargetMs, rowsMax, settings }) => {
      const curves = settings.map(({ fixedMs, instances, rowMs, threads }) =>
        exactCurve({ instances, threads }, (rows) => fixedMs + rowMs * rows, rowsMax),
      );
      const best = choose(curves, { latencyTargetMs, rowsMax, overheadMs });
      const rates = curves.flatMap((curve) =>
        curve.points
          .filter((point) => isInTime(curve, point, latencyTargetMs))
          .map((point) => rateOf(curve, point)),
      );
      expect(best?.isFeasible).toBe(rates.length > 0);
      if (best === null || rates.length === 0) return;
      expect(isInTime(best.curve, best.point, latencyTargetMs)).toBe(true);
      expect(best.rowsPerSecond).toBeCloseTo(rateOf(best.curve, best.point));
      expect(best.rowsPerSecond).toBeGreaterThanOrEqual(0.9 * Math.max(...rates));
    }),
  );
});

test('a ladder ends, with sizes that are all different, and its last size within what was asked', () => {
  fc.assert(
    fc.property(
      cases,
      fc.infiniteStream(fc.double({ min: 1, max: 2, noNaN: true })),
      (all, noise) => {
        const { latencyTargetMs, rowsMax, settings } = all;
        const [{ fixedMs, instances, rowMs, threads }] = settings as [(typeof settings)[0]];
        const goal = { latencyTargetMs, rowsMax, overheadMs };
        let points: CurvePoint[] = [];
        const sizes: number[] = [];
        for (let i = 0; i < 20; i += 1) {
          const next = nextRows({ instances, threads }, points, goal);
          if ('end' in next) break;
          sizes.push(next.rows);
          const ms = (fixedMs + rowMs * next.rows) * (noise.next().value ?? 1);
          points = [...points, exactPoint(next.rows, ms)].toSorted((a, b) => a.rows - b.rows);
        }
        expect(sizes.length).toBeLessThan(20);
        expect(new Set(sizes).size).toBe(sizes.length);
        expect(Math.max(...sizes)).toBeLessThanOrEqual(rowsMax);
      },
    ),
  );
});

function isInTime(
  { instances }: SetupCurve,
  { meanMs }: CurvePoint,
  targetMs: number | null,
): boolean {
  return targetMs === null || meanMs * (1 + 1 / instances) + overheadMs <= targetMs + 1e-9;
}

function rateOf({ instances }: SetupCurve, { meanMs, rows }: CurvePoint): number {
  return (instances * rows * 1_000) / (meanMs + overheadMs);
}
