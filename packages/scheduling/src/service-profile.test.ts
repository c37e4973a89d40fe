/** The profile that a worker offers, from runs whose truth is known. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { LatencyModel } from './latency-model.ts';
import { profileOf, type ProfilePolicy } from './service-profile.ts';

const plain = { rowsMax: 12, overheadMs: 0, runs: 1, stretch: 1, safety: 1 };

function learned(): LatencyModel {
  const model = new LatencyModel();
  for (const rows of [1, 2, 4, 8]) {
    for (let i = 0; i < 3; i += 1) {
      model.record({ rows, durationMs: 10 + 5 * rows, isFirst: false, idleMs: 0 });
    }
  }
  return model;
}

describe('profileOf', () => {
  test('there is none while nothing was measured', () => {
    expect(profileOf(new LatencyModel(), plain)).toBeNull();
  });

  test('points lie at the powers of two and at the cap', () => {
    const rowsOf = (rowsMax: number): readonly number[] | undefined =>
      profileOf(learned(), { ...plain, rowsMax })?.points.map(({ rows }) => rows);
    expect(rowsOf(12)).toEqual([1, 2, 4, 8, 12]);
    expect(rowsOf(8)).toEqual([1, 2, 4, 8]);
    expect(rowsOf(1)).toEqual([1]);
  });

  test('a batch costs its run and what is beside it, longer where the device is shared', () => {
    const profile = profileOf(learned(), { ...plain, overheadMs: 2, stretch: 3 });
    const expected = [1, 2, 4, 8, 12].map((rows) => (10 + 5 * rows + 2) * 3);
    for (const [at, ms] of expected.entries()) expect(profile?.points[at]?.ms).toBeCloseTo(ms);
    expect(profile?.rowsMax).toBe(12);
  });

  test('a row takes its part of a full batch, shared by the runs that the worker makes at a time', () => {
    const rowWorkMs = (over: Partial<ProfilePolicy>): number =>
      profileOf(learned(), { ...plain, ...over })?.rowWorkMs ?? 0;
    expect(rowWorkMs({})).toBeCloseTo(70 / 12);
    expect(rowWorkMs({ rowsMax: 8 })).toBeCloseTo(50 / 8);
    expect(rowWorkMs({ runs: 2 })).toBeCloseTo(70 / 2 / 12);
    // What is beside a run is done while others run, for as long as they do.
    expect(rowWorkMs({ overheadMs: 70 })).toBeCloseTo(70 / 12);
    expect(rowWorkMs({ overheadMs: 110 })).toBeCloseTo(90 / 12);
    expect(rowWorkMs({ overheadMs: 110, runs: 2 })).toBeCloseTo(60 / 12);
  });

  test('what a row takes is neither stretched by other classes nor made more careful', () => {
    const alone = profileOf(learned(), plain);
    const shared = profileOf(learned(), { ...plain, stretch: 3, safety: 2 });
    expect(shared?.rowWorkMs).toBe(alone?.rowWorkMs);
  });

  test('a row takes some time, also of a model that takes none', () => {
    const latency = { meanMs: (): number => 0, tailFactor: 1 };
    expect(profileOf(latency, plain)?.rowWorkMs).toBeGreaterThan(0);
  });

  test('the tail is more careful by the safety factor, within 1..3', () => {
    const latency = { meanMs: (): number => 1, tailFactor: 1.2 };
    const tail = (safety: number): number | undefined =>
      profileOf(latency, { ...plain, safety })?.tailFactor;
    expect(tail(1.5)).toBeCloseTo(1.8);
    expect(tail(3)).toBe(3);
    expect(tail(0.5)).toBe(1);
  });

  test('whatever ran, points rise in rows and never fall in time', () => {
    const run = fc.record({
      rows: fc.integer({ min: 1, max: 100 }),
      durationMs: fc.nat(5_000),
      isFirst: fc.constant(false),
      idleMs: fc.constant(0),
    });
    fc.assert(
      fc.property(fc.array(run, { minLength: 1 }), fc.nat(200), (runs, rows) => {
        const model = new LatencyModel();
        for (const run of runs) model.record(run);
        const points = profileOf(model, { ...plain, rowsMax: rows + 1 })?.points ?? [];
        expect(points[0]?.rows).toBe(1);
        expect(points.at(-1)?.rows).toBe(rows + 1);
        for (const [at, point] of points.slice(1).entries()) {
          expect(point.rows).toBeGreaterThan(points[at]!.rows);
          expect(point.ms).toBeGreaterThanOrEqual(points[at]!.ms);
        }
      }),
    );
  });
});
