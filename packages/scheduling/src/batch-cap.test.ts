/** The batch cap: by a latency target, by the knee of throughput, and in force over time. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { answerMs, batchCap, type BatchCapPolicy } from './batch-cap.ts';
import { BatchLimit } from './batch-limit.ts';
import { LatencyModel } from './latency-model.ts';

const policy: BatchCapPolicy = {
  rowsMax: 8,
  latencyTargetMs: null,
  servers: 1,
  overheadMs: 0,
  seeksKnee: false,
};
const heavyMs = (rows: number): number => 31.43 + 28.57 * rows;
/** A row costs least at 4 rows. */
const kneeMs = (rows: number): number => (rows <= 4 ? 20 + 5 * rows : 40 + 25 * (rows - 4));

function learned(timeMs: (rows: number) => number, sizes: readonly number[]): LatencyModel {
  const model = new LatencyModel();
  for (const rows of sizes) {
    for (let i = 0; i < 3; i += 1) {
      model.record({ rows, durationMs: timeMs(rows), isFirst: false, idleMs: 0 });
    }
  }
  return model;
}

describe('batchCap', () => {
  test.each([
    [500, 1, 8],
    [470, 1, 7],
    [300, 1, 4],
    [500, 4, 8],
    [290, 4, 7],
  ])('a target of %i ms with %i servers: %i rows', (latencyTargetMs, servers, rows) => {
    const model = learned((n) => 20 + 27.5 * n, [1, 8]);
    expect(batchCap(model, { ...policy, latencyTargetMs, servers })).toEqual({
      rows,
      isFeasible: true,
    });
  });

  test('a target that a single row misses is not feasible, and throughput decides', () => {
    const model = learned(heavyMs, [1, 8]);
    const hasty = { ...policy, latencyTargetMs: 100 };
    expect(answerMs(model, hasty, 1)).toBeCloseTo(120);
    expect(batchCap(model, hasty)).toEqual({ rows: 8, isFeasible: false });
  });

  test('while nothing is known the model decides', () => {
    const cap = batchCap(new LatencyModel(), { ...policy, latencyTargetMs: 1, seeksKnee: true });
    expect(cap).toEqual({ rows: 8, isFeasible: true });
  });

  test('the knee is the smallest size within 5 % of the best', () => {
    const sizes = [1, 2, 3, 4, 5, 6, 7, 8];
    const seeking = { ...policy, seeksKnee: true };
    expect(batchCap(learned(kneeMs, sizes), seeking).rows).toBe(4);
    expect(batchCap(learned(kneeMs, sizes), policy).rows).toBe(8);
    expect(
      batchCap(
        learned((n) => 10 * n, sizes),
        seeking,
      ).rows,
    ).toBe(1);
    expect(
      batchCap(
        learned((n) => 10 * n, sizes),
        { ...seeking, overheadMs: 2 },
      ).rows,
    ).toBe(3);
    expect(
      batchCap(
        learned(() => 20, sizes),
        seeking,
      ).rows,
    ).toBe(8);
  });

  test('sizes that did not run never lower the cap', () => {
    const seeking = { ...policy, seeksKnee: true };
    expect(batchCap(learned(kneeMs, [1, 2]), seeking).rows).toBe(8);
    expect(batchCap(learned(kneeMs, [1, 8]), seeking).rows).toBe(8);
    expect(batchCap(learned(kneeMs, [4, 8]), seeking).rows).toBe(6);
    expect(batchCap(learned(kneeMs, [4, 5]), seeking).rows).toBe(4);
  });

  test('the cap meets the target by its own arithmetic, and one row more would not', () => {
    const costs = fc.record({ fixedMs: fc.nat(50), rowMs: fc.integer({ min: 1, max: 50 }) });
    const limits = fc.record({
      rowsMax: fc.integer({ min: 1, max: 200 }),
      latencyTargetMs: fc.integer({ min: 1, max: 3_000 }),
      servers: fc.integer({ min: 1, max: 8 }),
      overheadMs: fc.nat(10),
    });
    fc.assert(
      fc.property(costs, limits, ({ fixedMs, rowMs }, limit) => {
        const model = learned((n) => fixedMs + rowMs * n, [1, 200]);
        const given = { ...limit, seeksKnee: false };
        const needsMs = (rows: number): number => answerMs(model, given, rows) ?? Number.NaN;
        const { isFeasible, rows } = batchCap(model, given);
        expect(isFeasible).toBe(needsMs(1) <= limit.latencyTargetMs);
        expect(rows).toBeGreaterThanOrEqual(1);
        expect(rows).toBeLessThanOrEqual(limit.rowsMax);
        if (!isFeasible) return;
        expect(needsMs(rows)).toBeLessThanOrEqual(limit.latencyTargetMs);
        if (rows < limit.rowsMax) expect(needsMs(rows + 1)).toBeGreaterThan(limit.latencyTargetMs);
      }),
    );
  });
});

/** Runs a saturated lane; the rows of each batch. */
function saturate(
  limit: BatchLimit,
  model: LatencyModel,
  timeMs: (rows: number) => number,
  runs: number,
): number[] {
  return Array.from({ length: runs }, () => {
    const rows = limit.rowsToClaim();
    limit.claimed(rows, 1_000);
    model.record({ rows, durationMs: timeMs(rows), isFirst: false, idleMs: 0 });
    limit.ran();
    return rows;
  });
}

describe('BatchLimit', () => {
  const seeking = { ...policy, seeksKnee: true };

  test('it ends at the knee, having tried few sizes on the way', () => {
    const model = learned(kneeMs, [1, 8]);
    const limit = new BatchLimit(model, seeking);
    expect(limit.cap.rows).toBe(8);
    saturate(limit, model, kneeMs, 150);
    expect(limit.cap.rows).toBe(4);
    expect(Math.max(...saturate(limit, model, kneeMs, 1_000))).toBe(5);
    expect(limit.cap.rows).toBe(4);
  });

  test('it ends within 10 % of the best cost a row, wherever the knee is', () => {
    const shapes = fc.record({
      rowsMax: fc.integer({ min: 2, max: 64 }),
      fixedMs: fc.nat(200),
      rowMs: fc.integer({ min: 1, max: 50 }),
      bend: fc.integer({ min: 1, max: 64 }),
      slower: fc.nat(50),
    });
    fc.assert(
      fc.property(shapes, ({ rowsMax, fixedMs, rowMs, bend, slower }) => {
        const timeMs = (rows: number): number =>
          fixedMs + rowMs * rows + slower * Math.max(0, rows - bend);
        const costMs = (rows: number): number => timeMs(rows) / rows;
        const model = learned(timeMs, [1, rowsMax]);
        const limit = new BatchLimit(model, { ...seeking, rowsMax });
        const tried = new Set(saturate(limit, model, timeMs, 600));
        const best = Math.min(...Array.from({ length: rowsMax }, (_, i) => costMs(i + 1)));
        expect(costMs(limit.cap.rows)).toBeLessThanOrEqual(best * 1.1);
        expect(tried.size).toBeLessThanOrEqual(30);
      }),
      { numRuns: 50 },
    );
  });

  test('one run that is slow does not move it, and after a slow spell it climbs back', () => {
    const model = learned(heavyMs, [1, 8]);
    const limit = new BatchLimit(model, { ...policy, latencyTargetMs: 560 });
    const calm = limit.cap.rows;
    expect(calm).toBe(8);
    saturate(limit, model, (n) => 8 * heavyMs(n), 1);
    expect(limit.cap.rows).toBe(calm);
    saturate(limit, model, (n) => 2 * heavyMs(n), 60);
    expect(limit.cap.rows).toBeLessThan(5);
    saturate(limit, model, heavyMs, 6_000);
    expect(limit.cap.rows).toBe(8);
  });

  test('noise at the edge of a target moves it at most twice in a thousand runs', () => {
    const model = learned(heavyMs, [1, 8]);
    const limit = new BatchLimit(model, { ...policy, latencyTargetMs: 2 * heavyMs(6) });
    let changes = 0;
    for (let i = 0; i < 1_000; i += 1) {
      const { rows } = limit.cap;
      limit.claimed(rows, 0);
      const noise = i % 2 === 0 ? 1.01 : 0.99;
      model.record({ rows, durationMs: heavyMs(rows) * noise, isFirst: false, idleMs: 0 });
      if (limit.ran() !== null) changes += 1;
    }
    expect(changes).toBeLessThanOrEqual(2);
  });

  test('one batch in 200 tries a row more, and only while enough waits', () => {
    const model = learned(heavyMs, [1, 8]);
    const limit = new BatchLimit(model, { ...policy, latencyTargetMs: 300 });
    expect(limit.cap.rows).toBe(4);
    const tried = saturate(limit, model, heavyMs, 1_000).filter((rows) => rows > 4);
    expect(tried).toEqual([5, 5, 5, 5]);
    for (let i = 0; i < 400; i += 1) {
      limit.claimed(4, 4);
      limit.ran();
      expect(limit.rowsToClaim()).toBe(4);
    }
  });

  test('a target becomes feasible only with something to spare', () => {
    const model = learned(() => 100, [1, 8]);
    const limit = new BatchLimit(model, { ...policy, latencyTargetMs: 196 });
    expect(limit.cap.isFeasible).toBe(false);
    saturate(limit, model, () => 97, 300);
    expect(limit.cap.isFeasible).toBe(false);
    for (let i = 0; i < 300; i += 1) {
      for (const rows of [1, 8]) model.record({ rows, durationMs: 60, isFirst: false, idleMs: 0 });
      limit.ran();
    }
    expect(limit.cap).toEqual({ rows: 8, isFeasible: true });
  });
});
