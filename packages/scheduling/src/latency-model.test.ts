/** The latency model on runs whose truth is known. */
import { seededRandom } from '@inferry/runtime';
import { describe, expect, test } from 'vitest';
import { LatencyModel } from './latency-model.ts';
import type { LatencySnapshot } from './latency-snapshot.ts';

function run(model: LatencyModel, rows: number, durationMs: number, times = 1): void {
  for (let i = 0; i < times; i += 1) model.record({ rows, durationMs, isFirst: false, idleMs: 0 });
}

describe('LatencyModel', () => {
  test('nothing is known before the first run', () => {
    const model = new LatencyModel();
    expect(model.meanMs(1)).toBeUndefined();
    expect(model.tailMs(1)).toBeUndefined();
  });

  test('the first run of a size teaches nothing', () => {
    const model = new LatencyModel();
    model.record({ rows: 4, durationMs: 900, isFirst: true, idleMs: 0 });
    expect(model.meanMs(4)).toBeUndefined();
  });

  test('one size alone says that more rows take proportionally longer and fewer no shorter', () => {
    const model = new LatencyModel();
    run(model, 8, 260, 50);
    expect([1, 8, 16].map((rows) => model.meanMs(rows))).toEqual([260, 260, 520]);
  });

  test('a thousand full batches do not spoil what is known of single rows', () => {
    const random = seededRandom(3);
    const model = new LatencyModel();
    run(model, 1, 60, 3);
    for (let i = 0; i < 1_000; i += 1) run(model, 8, 260 * (0.96 + 0.08 * random.unit()));
    const oneMs = model.meanMs(1) ?? 0;
    expect(oneMs).toBeGreaterThan(57);
    expect(oneMs).toBeLessThan(63);
    expect(model.meanMs(4)).toBeCloseTo(31.43 + 4 * 28.57, -1);
  });

  test('a size that became slower is followed within a hundred runs', () => {
    const model = new LatencyModel();
    run(model, 4, 50, 500);
    run(model, 4, 100, 120);
    expect(model.meanMs(4)).toBeGreaterThan(95);
  });

  test('19 of 20 runs stay within the tail', () => {
    const random = seededRandom(11);
    const model = new LatencyModel();
    let above = 0;
    for (let i = 0; i < 6_000; i += 1) {
      const durationMs = 100 * (0.5 + random.unit());
      if (i >= 1_000 && durationMs > (model.tailMs(2) ?? 0)) above += 1;
      run(model, 2, durationMs);
    }
    expect(above / 5_000).toBeGreaterThan(0.03);
    expect(above / 5_000).toBeLessThan(0.07);
  });

  test('it keeps 64 sizes, the smallest and the largest among them', () => {
    const model = new LatencyModel();
    run(model, 1_000, 1_010);
    run(model, 1, 11);
    for (let rows = 2; rows < 200; rows += 1) run(model, rows, 10 + rows);
    const sizes = model.measured().map(({ rows }) => rows);
    expect(sizes).toHaveLength(64);
    expect([sizes[0], sizes.at(-1)]).toEqual([1, 1_000]);
    expect(model.meanMs(500)).toBeCloseTo(510);
  });

  test('a snapshot that is none is a bug of the caller', () => {
    const sizes = [{ rows: 0, runs: 1, meanMs: 1, age: 0 }];
    expect(() => new LatencyModel({ sizes, tailFactor: 1 })).toThrow('at least one row');
  });
});

describe('LatencyModel.record', () => {
  test('answers with what the run took by what was expected of it', () => {
    const model = new LatencyModel();
    const sample = { rows: 2, durationMs: 100, isFirst: false, idleMs: 0 };
    expect(model.record(sample)).toBeNull();
    expect(model.record({ ...sample, durationMs: 150 })).toBe(1.5);
    expect(model.record({ ...sample, durationMs: 900, isFirst: true })).toBeNull();
    expect(model.record({ ...sample, durationMs: Number.NaN })).toBeNull();
  });

  test('a run after more than 5 s of rest moves the cold factor and nothing else', () => {
    const model = new LatencyModel();
    run(model, 2, 100, 20);
    const before = model.snapshot();
    const cold = { rows: 2, durationMs: 200, isFirst: false, idleMs: 5_001 };
    expect(model.record(cold)).toBeNull();
    expect(model.coldFactor).toBeCloseTo(1.2);
    model.record(cold);
    expect(model.coldFactor).toBeCloseTo(1.36);
    expect(model.snapshot()).toEqual(before);
    for (let i = 0; i < 50; i += 1) model.record({ ...cold, durationMs: 50 });
    expect(model.coldFactor).toBe(1);
  });

  test('a run after 5 s of rest is like any other', () => {
    const model = new LatencyModel();
    run(model, 2, 100);
    model.record({ rows: 2, durationMs: 200, isFirst: false, idleMs: 5_000 });
    expect(model.meanMs(2)).toBe(150);
    expect(model.coldFactor).toBe(1);
  });
});

describe('a device that always rests before its runs', () => {
  const cold = { isFirst: false, idleMs: 60_000 };

  test('is known by them, until a run without a rest says more', () => {
    const model = new LatencyModel();
    expect(model.record({ ...cold, rows: 4, durationMs: 300 })).toBeNull();
    expect(model.meanMs(4)).toBe(300);
    expect(model.record({ ...cold, rows: 4, durationMs: 100 })).toBeNull();
    expect(model.meanMs(4)).toBe(200);
    model.record({ ...cold, rows: 1, durationMs: 90 });
    expect(model.coldFactor).toBe(1);
    run(model, 2, 50);
    expect(model.snapshot()).toEqual({
      sizes: [{ rows: 2, runs: 1, meanMs: 50, age: 0 }],
      tailFactor: 1,
    });
    // From now on a rest is told apart.
    model.record({ ...cold, rows: 2, durationMs: 100 });
    expect(model.meanMs(2)).toBe(50);
    expect(model.coldFactor).toBeCloseTo(1.2);
  });

  test('tells nothing that others should start from', () => {
    const model = new LatencyModel();
    model.record({ ...cold, rows: 4, durationMs: 300 });
    expect(model.snapshot().sizes).toEqual([]);
  });
});

describe('LatencyModel.seeded', () => {
  const sizes = [1, 4, 8].map((rows) => ({ rows, runs: 50, meanMs: 10 * rows, age: 0 }));
  const seed: LatencySnapshot = { sizes, tailFactor: 1.4 };

  function runsAt(model: LatencyModel, rows: number): number | undefined {
    return model.measured().find((size) => size.rows === rows)?.runs;
  }

  test('starts with what the seed says, of which no size counts more than 8 runs', () => {
    const model = LatencyModel.seeded({
      ...seed,
      sizes: [...sizes, { rows: 16, runs: 3, meanMs: 160, age: 0 }],
    });
    expect([1, 2, 8, 16].map((rows) => model.meanMs(rows))).toEqual([10, 20, 80, 160]);
    expect(model.tailFactor).toBe(1.4);
    expect([1, 8, 16].map((rows) => runsAt(model, rows))).toEqual([8, 8, 3]);
  });

  test.each([161, 39])(
    'a first run of %d ms where 80 were expected ends the seed',
    (durationMs) => {
      const model = LatencyModel.seeded(seed);
      run(model, 1, 10);
      expect(model.record({ rows: 8, durationMs, isFirst: false, idleMs: 0 })).toBe(
        durationMs / 80,
      );
      expect(model.measured()).toEqual([{ rows: 8, runs: 1, meanMs: durationMs, age: 0 }]);
      expect(model.tailFactor).toBe(1);
    },
  );

  test.each([160, 40])('a first run of %d ms does not', (durationMs) => {
    const model = LatencyModel.seeded(seed);
    run(model, 8, durationMs);
    expect(model.measured()).toHaveLength(3);
    expect(runsAt(model, 8)).toBe(9);
  });

  test.each([
    [5, 161, 0],
    [5, 19, 0],
    [5, 159, 3],
    [5, 21, 3],
    [16, 39, 0],
    [16, 5_000, 3],
  ])('%i rows, of which it says nothing, in %i ms: %i of its sizes are kept', (rows, ms, kept) => {
    const model = LatencyModel.seeded(seed);
    run(model, rows, ms);
    expect(model.measured().filter((size) => size.rows !== rows)).toHaveLength(kept);
  });

  test('a first run in its session, and a cold one, say nothing of the device', () => {
    const model = LatencyModel.seeded(seed);
    model.record({ rows: 8, durationMs: 900, isFirst: true, idleMs: 0 });
    model.record({ rows: 8, durationMs: 900, isFirst: false, idleMs: 60_000 });
    expect(model.measured()).toHaveLength(3);
  });

  test('only the first run of a size is a verification: a later outlier is one', () => {
    const model = LatencyModel.seeded(seed);
    run(model, 8, 80);
    run(model, 8, 800);
    expect(model.measured()).toHaveLength(3);
  });

  test('what ran here 8 times is kept when the seed turns out to be of another device', () => {
    const model = LatencyModel.seeded(seed);
    run(model, 4, 40, 8);
    run(model, 2, 25);
    run(model, 8, 400);
    expect(model.measured().map(({ rows }) => rows)).toEqual([2, 4, 8]);
  });

  test('a model that goes on from its own snapshot verifies nothing', () => {
    const model = new LatencyModel(seed);
    run(model, 8, 800);
    expect(model.measured()).toHaveLength(3);
  });
});
