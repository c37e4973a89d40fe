import type { FlowStats } from '@inferry/queue';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { FairnessWindow } from './fairness-window.ts';

const weights: Readonly<Record<string, number>> = { a: 1, b: 1, heavy: 3 };

function opened(): FairnessWindow {
  return new FairnessWindow(({ tenant }) => weights[tenant] ?? 1);
}

/** Waits unless told otherwise. */
function flow(tenant: string, takenRows: number, over: Partial<FlowStats> = {}): FlowStats {
  return { tenant, priority: 'normal', waiting: 1, takenRows, ...over };
}

describe('a window', () => {
  test('says nothing before the first look, and of an empty class', () => {
    const window = opened();
    expect(window.fairness).toEqual({ index: 1, shareMax: 0 });
    window.add(0, []);
    expect(window.fairness).toEqual({ index: 1, shareMax: 0 });
  });

  test('is even where rows follow the weights, and counts rows of the window alone', () => {
    const window = opened();
    window.add(0, [flow('a', 1_000), flow('heavy', 5)]);
    window.add(500, [flow('a', 1_010), flow('heavy', 35)]);
    expect(window.fairness).toEqual({ index: 1, shareMax: 0.75 });
  });

  test('is one half where one of two got everything', () => {
    const window = opened();
    window.add(0, [flow('a', 0), flow('b', 0)]);
    window.add(500, [flow('a', 9), flow('b', 0)]);
    expect(window.fairness).toEqual({ index: 0.5, shareMax: 1 });
  });

  test('does not judge by fewer rows than make a share for each', () => {
    const window = opened();
    const tenants = ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'];
    window.add(
      0,
      tenants.map((tenant) => flow(tenant, 0)),
    );
    // A model that takes 20 s for a row: three had their turn within the minute.
    window.add(
      55_000,
      tenants.map((tenant, i) => flow(tenant, i < 3 ? 1 : 0)),
    );
    expect(window.fairness.index).toBe(1);
    window.add(
      55_500,
      tenants.map((tenant, i) => flow(tenant, i < 3 ? 6 : 0)),
    );
    expect(window.fairness.index).toBeCloseTo(3 / 8);
  });

  test('compares those alone that had jobs waiting at every look', () => {
    const window = opened();
    window.add(0, [flow('a', 0), flow('b', 0), flow('c', 0)]);
    window.add(500, [flow('a', 10), flow('b', 10), flow('c', 1, { waiting: 0 })]);
    window.add(1_000, [flow('a', 20), flow('b', 20), flow('c', 2)]);
    // A tenant that came later is not compared either; both count among all rows.
    window.add(1_500, [flow('a', 30), flow('b', 30), flow('c', 3), flow('d', 1)]);
    expect(window.fairness).toEqual({ index: 1, shareMax: 30 / 64 });
  });

  test('takes each priority of a tenant as one of those who share', () => {
    const byPriority = new FairnessWindow(({ priority }) => (priority === 'high' ? 8 : 1));
    const high = (takenRows: number): FlowStats => flow('a', takenRows, { priority: 'high' });
    byPriority.add(0, [high(0), flow('b', 0, { priority: 'low' })]);
    byPriority.add(500, [high(80), flow('b', 10, { priority: 'low' })]);
    expect(byPriority.fairness).toMatchObject({ index: 1 });
  });

  test('forgets what is more than a minute ago', () => {
    const window = opened();
    let [a, b] = [0, 0];
    for (let atMs = 0; atMs <= 180_000; atMs += 500) {
      window.add(atMs, [flow('a', a), flow('b', b)]);
      a += 10;
      // For its first minute b is given nothing.
      if (atMs >= 60_000) b += 10;
      if (atMs === 60_000) expect(window.fairness.index).toBe(0.5);
      // By then its minute of nothing is a quarter of the window.
      if (atMs === 105_000) expect(window.fairness.index).toBeCloseTo(0.98, 1);
    }
    expect(window.fairness).toEqual({ index: 1, shareMax: 0.5 });
  });

  test('begins anew after a time without looks, and when the queue has lost its memory', () => {
    const window = opened();
    window.add(0, [flow('a', 0), flow('b', 0)]);
    window.add(500, [flow('a', 9), flow('b', 0)]);
    window.add(90_000, [flow('a', 500), flow('b', 0)]);
    expect(window.fairness).toMatchObject({ index: 1, shareMax: 0 });
    window.add(90_500, [flow('a', 0), flow('b', 0)]);
    window.add(91_000, [flow('a', 2), flow('b', 2)]);
    expect(window.fairness).toEqual({ index: 1, shareMax: 0.5 });
  });

  test('whatever it sees, the index lies between 1/n and 1 and the share between 0 and 1', () => {
    const look = fc.array(
      fc.record({ waiting: fc.nat(2), rows: fc.nat(50), isThere: fc.boolean() }),
      { minLength: 4, maxLength: 4 },
    );
    fc.assert(
      fc.property(fc.array(look, { maxLength: 40 }), fc.nat(20_000), (looks, everyMs) => {
        const window = opened();
        const taken = [0, 0, 0, 0];
        for (const [i, flows] of looks.entries()) {
          for (const [k, { rows }] of flows.entries()) taken[k] = (taken[k] ?? 0) + rows;
          const seen = flows.flatMap(({ isThere, waiting }, k) =>
            isThere ? [flow(String(k), taken[k] ?? 0, { waiting })] : [],
          );
          window.add(i * everyMs, seen);
          const { index, shareMax } = window.fairness;
          expect(index).toBeGreaterThanOrEqual(1 / 4 - 1e-9);
          expect(index).toBeLessThanOrEqual(1 + 1e-9);
          expect(shareMax).toBeGreaterThanOrEqual(0);
          expect(shareMax).toBeLessThanOrEqual(1);
        }
      }),
    );
  });
});
