import { describe, expect, test } from 'vitest';
import { exactCurve, exactPoint } from './choose.fixture.ts';
import { candidateOf, choose, type Goal, nextRows } from './choose.ts';
import type { CurvePoint, SetupCurve } from './curve.ts';

const setup = { threads: 1, instances: 1 };
/** A T4 with YOLOv4: 60 ms for one image, 260 for eight. */
const t4 = (rows: number): number => 31.43 + 28.57 * rows;
const goal: Goal = { latencyTargetMs: 500, rowsMax: 8, overheadMs: 0 };

function everySize(costMs: (rows: number) => number, rowsMax: number, instances = 1): SetupCurve {
  const points = Array.from({ length: rowsMax }, (_, i) => exactPoint(i + 1, costMs(i + 1)));
  return { ...exactCurve({ threads: 1, instances }, costMs, rowsMax), points };
}

describe('the batch of a setting', () => {
  test('a job waits for the batch before: twice the time with one instance, 5/4 of it with four', () => {
    const costMs = (rows: number): number => 200 + 10 * rows;
    const within = { ...goal, latencyTargetMs: 545 };
    expect(candidateOf(everySize(costMs, 8), within)).toMatchObject({
      point: { rows: 7 },
      bound: 'target',
      isFeasible: true,
      answerMs: expect.closeTo(540),
      leastAnswerMs: expect.closeTo(420),
    });
    expect(candidateOf(everySize(costMs, 8, 4), within)).toMatchObject({
      point: { rows: 8 },
      bound: 'rows_max',
      answerMs: expect.closeTo(350),
      rowsPerSecond: expect.closeTo((4 * 8 * 1_000) / 280),
    });
  });

  test('what a batch costs beside its run counts in the answer and in the throughput', () => {
    const candidate = candidateOf(everySize(t4, 8), { ...goal, overheadMs: 40 });
    expect(candidate.point.rows).toBe(6);
    expect(candidate.rowsPerSecond).toBeCloseTo(6_000 / (t4(6) + 40));
  });

  test('without a target it ends at the knee, where larger batches save less than 5 % a row', () => {
    const costMs = (rows: number): number => 10 + 10 * rows;
    const candidate = candidateOf(everySize(costMs, 64), {
      ...goal,
      latencyTargetMs: null,
      rowsMax: 64,
    });
    expect(candidate.bound).toBe('knee');
    expect(candidate.point.rows).toBe(16);
  });

  test('one row that misses the target is infeasible, and the sum says by how much', () => {
    const candidate = candidateOf(everySize(t4, 8), { ...goal, latencyTargetMs: 100 });
    expect(candidate).toMatchObject({ isFeasible: false, leastAnswerMs: expect.closeTo(120) });
  });

  test('nothing is recommended that was not measured', () => {
    const curve = { ...exactCurve(setup, t4, 4), end: { kind: 'memory' as const } };
    const candidate = candidateOf(curve, { ...goal, latencyTargetMs: 10_000, rowsMax: 64 });
    expect(candidate).toMatchObject({ point: { rows: 4 }, bound: 'memory' });
  });
});

describe('the setting', () => {
  test('most rows a second among those that keep the target', () => {
    const slow = everySize((rows) => 100 + 10 * rows, 32);
    const fast = everySize((rows) => 10 + 5 * rows, 32, 2);
    expect(choose([slow, fast], { ...goal, rowsMax: 32 })?.curve).toBe(fast);
    // Both of its instances together are faster, but neither answers in time.
    const throughput = everySize((rows) => 400 + rows, 32, 8);
    expect(choose([slow, throughput], { ...goal, latencyTargetMs: 300 })?.curve).toBe(slow);
  });

  test('of equals within 5 % the one with fewer threads', () => {
    const one = { ...everySize((rows) => 10 * rows, 8), threads: 1 };
    const four = { ...everySize((rows) => 9.8 * rows, 8), threads: 4 };
    const many = { ...everySize((rows) => 9 * rows, 8), threads: 4 };
    expect(choose([four, one], goal)?.curve).toBe(one);
    expect(choose([many, one], goal)?.curve).toBe(many);
  });

  test('when all miss the target, the one that misses it by the least', () => {
    const curves = [everySize(t4, 8), everySize((rows) => 50 * rows, 8)];
    const best = choose(curves, { ...goal, latencyTargetMs: 20 });
    expect(best).toMatchObject({ isFeasible: false, curve: curves[1] });
  });

  test('nothing measured, nothing chosen', () => {
    expect(choose([], goal)).toBeNull();
  });
});

describe('what to measure next', () => {
  const wide = { ...goal, rowsMax: 100, latencyTargetMs: null };

  test('sizes double up to the most rows', () => {
    const sizes: number[] = [];
    const points: CurvePoint[] = [];
    const costMs = (rows: number): number => 1_000 + rows;
    for (let next = nextRows(setup, points, wide); 'rows' in next;) {
      sizes.push(next.rows);
      points.push(exactPoint(next.rows, costMs(next.rows)));
      next = nextRows(setup, points, wide);
    }
    expect(sizes).toEqual([1, 2, 4, 8, 16, 32, 64, 100]);
  });

  test('beyond the target sizes between are tried, until the largest that fits is known', () => {
    const points = [1, 2, 4, 8].map((rows) => exactPoint(rows, t4(rows)));
    const next = nextRows(setup, points, { ...goal, rowsMax: 64 });
    expect(next).toEqual({ rows: 7 });
    points.splice(3, 0, exactPoint(7, t4(7)));
    expect(nextRows(setup, points, { ...goal, rowsMax: 64 })).toEqual({ end: { kind: 'target' } });
  });

  test('two sizes in a row that are slower end the ladder', () => {
    const costMs = (rows: number): number => (rows <= 4 ? 10 * rows : 15 * rows);
    const points = [1, 2, 4, 8].map((rows) => exactPoint(rows, costMs(rows)));
    expect(nextRows(setup, points, wide)).toEqual({ rows: 16 });
    points.push(exactPoint(16, costMs(16)));
    const next = nextRows(setup, points, wide);
    // From here on only sizes around the knee are tried.
    expect('end' in next ? 0 : next.rows).toBeLessThan(8);
  });
});
