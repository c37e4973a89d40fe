/** The latency model on runs whose truth is known. */
import { seededRandom } from '@inferry/runtime';
import { describe, expect, test } from 'vitest';
import { LatencyModel } from './latency-model.ts';

function run(model: LatencyModel, rows: number, durationMs: number, times = 1): void {
  for (let i = 0; i < times; i += 1) model.record({ rows, durationMs, isFirst: false });
}

describe('LatencyModel', () => {
  test('nothing is known before the first run', () => {
    const model = new LatencyModel();
    expect(model.meanMs(1)).toBeUndefined();
    expect(model.tailMs(1)).toBeUndefined();
  });

  test('the first run of a size teaches nothing', () => {
    const model = new LatencyModel();
    model.record({ rows: 4, durationMs: 900, isFirst: true });
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
