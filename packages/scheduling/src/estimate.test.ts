/** The estimator on a device whose times are known: YOLOv4 on a T4, s(b) = 31.43 + 28.57 b ms. */
import type { LineView, ServiceProfile } from '@inferry/contracts';
import { describe, expect, test } from 'vitest';
import { estimate, rowsToCome, serviceMs } from './estimate.ts';

const t4: ServiceProfile = {
  rowsMax: 8,
  points: [1, 2, 4, 8].map((rows) => ({ rows, ms: 31.43 + 28.57 * rows })),
  tailFactor: 1,
  rowWorkMs: 100,
};

function line(rowsAhead: number, servers: number, more: Partial<LineView> = {}): LineView {
  const free = Array.from({ length: servers }, () => ({ freeInMs: 0, profile: t4 }));
  return { rowsAhead, rows: 1, rowEveryMs: null, servers: free, ...more };
}

function readyInMs(rowsAhead: number, servers: number, more?: Partial<LineView>): number {
  return estimate(line(rowsAhead, servers, more))?.readyInMs ?? Number.NaN;
}

describe('serviceMs', () => {
  test('a size between two points lies on the line between them', () => {
    expect(serviceMs(t4, 1)).toBeCloseTo(60);
    expect(serviceMs(t4, 6)).toBeCloseTo(31.43 + 6 * 28.57);
    expect(serviceMs(t4, 8)).toBeCloseTo(260, 1);
  });

  test('below the first point it takes no less, above the last it grows in proportion', () => {
    const profile = { ...t4, points: [2, 4].map((rows) => ({ rows, ms: 10 * rows })) };
    expect(serviceMs(profile, 1)).toBe(20);
    expect(serviceMs(profile, 8)).toBe(80);
  });

  test('a profile without points costs nothing', () => {
    expect(serviceMs({ ...t4, points: [] }, 3)).toBe(0);
  });
});

describe('estimate', () => {
  test('nobody knows without servers', () => {
    expect(estimate(line(3, 0))).toBeNull();
  });

  test('one server: who rides along with those ahead, and who waits for their batch', () => {
    expect(readyInMs(0, 1)).toBeCloseTo(60);
    expect(readyInMs(7, 1)).toBeCloseTo(260, 1);
    expect(readyInMs(8, 1)).toBeCloseTo(260 + 60, 1);
    expect(readyInMs(15, 1)).toBeCloseTo(2 * 260, 1);
  });

  test('one server: the last of 50 in a closed loop waits about 50 / 30.8 s', () => {
    // 49 rows at 8 in 260 ms, half a run for the phase, and the run that it rides in.
    expect(readyInMs(49, 1)).toBeCloseTo((49 / 8) * 260 + 130 + 260, -1);
  });

  test('four servers: six full batches are ahead of the last of 50, two of them in the second round', () => {
    expect(readyInMs(49, 4)).toBeCloseTo(260 + (31.43 + 2 * 28.57), 1);
  });

  test('a job that does not fit with those ahead departs with the next batch', () => {
    expect(readyInMs(5, 1, { rows: 4 })).toBeCloseTo(serviceMs(t4, 5) + serviceMs(t4, 4));
    expect(readyInMs(4, 1, { rows: 4 })).toBeCloseTo(260, 1);
  });

  test('later arrivals fill its batch while it waits for the server', () => {
    const busy = { servers: [{ freeInMs: 100, profile: t4 }] };
    expect(readyInMs(0, 1, busy)).toBeCloseTo(100 + 60);
    expect(readyInMs(0, 1, { ...busy, rowEveryMs: 50 })).toBeCloseTo(100 + serviceMs(t4, 3));
    expect(readyInMs(0, 1, { ...busy, rowEveryMs: 1 })).toBeCloseTo(100 + 260, 1);
    expect(readyInMs(0, 1, { rowEveryMs: 1 })).toBeCloseTo(60);
  });

  test('only the run of the job itself is held against the tail', () => {
    const servers = [{ freeInMs: 0, profile: { ...t4, tailFactor: 1.5 } }];
    expect(readyInMs(8, 1, { servers })).toBeCloseTo(260 + 1.5 * 60, 1);
  });

  test('of servers that may be first the slowest is expected', () => {
    const twice = { ...t4, points: t4.points.map(({ rows, ms }) => ({ rows, ms: 2 * ms })) };
    const readyBeside = (freeInMs: number, otherFreeInMs: number, tailFactor = 1): number => {
      const [one, other] = [t4, twice].map((profile) => ({ ...profile, tailFactor }));
      const servers = [
        { freeInMs, profile: one! },
        { freeInMs: otherFreeInMs, profile: other! },
      ];
      return readyInMs(0, 1, { servers });
    };
    expect(readyBeside(0, 0)).toBeCloseTo(120);
    // Who is free now goes first, and of two who are irregular either.
    expect(readyBeside(0, 1, 1.1)).toBeCloseTo(1.1 * 60);
    expect(readyBeside(100, 110)).toBeCloseTo(100 + 60);
    expect(readyBeside(100, 110, 1.1)).toBeCloseTo(100 + 1.1 * 120);
    expect(readyBeside(100, 120, 1.1)).toBeCloseTo(100 + 1.1 * 60);
  });

  test('it may start as late as G2 allows: full batches on all servers, each as slow as the slowest', () => {
    const slow = { ...t4, rowsMax: 4, tailFactor: 2 };
    const servers = [t4, slow].map((profile) => ({ freeInMs: 0, profile }));
    const slowestMs = 2 * (31.43 + 4 * 28.57);
    const boundMs = (rowsAhead: number): number | undefined =>
      estimate(line(rowsAhead, 2, { servers }))?.startBoundMs;
    expect(boundMs(0)).toBeCloseTo(slowestMs);
    expect(boundMs(11)).toBeCloseTo(slowestMs);
    expect(boundMs(12)).toBeCloseTo(2 * slowestMs);
  });
});

describe('rows to come', () => {
  const rates = { rowEveryMs: 50, ownRowEveryMs: 100 };

  test('what other flows send meanwhile goes first, with a margin for chance', () => {
    // 10 a second of others for 0.9 s: 9, and 1.65 deviations of 3.
    expect(rowsToCome(100, 900, rates)).toBe(14);
    expect(rowsToCome(100, 0, rates)).toBe(0);
  });

  test('no more than one for each row of its own flow before it', () => {
    expect(rowsToCome(3, 900, rates)).toBe(3);
    expect(rowsToCome(0, 900, rates)).toBe(0);
  });

  test('nothing with one flow, or while rates are not known', () => {
    expect(rowsToCome(9, 900, { rowEveryMs: 100, ownRowEveryMs: 100 })).toBe(0);
    expect(rowsToCome(9, 900, { rowEveryMs: 100, ownRowEveryMs: 90 })).toBe(0);
    expect(rowsToCome(9, 900, { rowEveryMs: null, ownRowEveryMs: 100 })).toBe(0);
    expect(rowsToCome(9, 900, { rowEveryMs: 50, ownRowEveryMs: null })).toBe(0);
  });
});
