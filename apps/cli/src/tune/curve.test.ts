import { expect, test } from 'vitest';
import { latencyOf, learnedFrom, pointOf, uncertaintyOf } from './curve.ts';

const samples = Array.from({ length: 100 }, (_, i) => ({
  prepareMs: 1,
  computeMs: i + 1,
  cycleMs: 60,
}));

test('a point tells preparation and run together, the run alone, and the cycle', () => {
  expect(pointOf(4, samples)).toMatchObject({
    rows: 4,
    batches: 100,
    meanMs: 51.5,
    p50Ms: 51,
    p95Ms: 96,
    cycleMs: 60,
    computeMs: 50.5,
    computeP95Ms: 95,
  });
});

test('the uncertainty of a mean falls with the root of the samples; one sample says nothing of it', () => {
  expect(uncertaintyOf([5])).toBe(Infinity);
  expect(uncertaintyOf([5, 5, 5])).toBe(0);
  // Standard deviation 1.0541 around 2 of 10 values.
  expect(uncertaintyOf([1, 3, 1, 3, 1, 3, 1, 3, 1, 3])).toBeCloseTo(
    (1.96 * 1.0541) / Math.sqrt(10) / 2,
    4,
  );
  expect(uncertaintyOf([0, 0])).toBe(0);
});

test('the scheduler believes the mean of a size that ran often, and the tail that was seen', () => {
  const point = { ...pointOf(8, samples), meanMs: 10, p95Ms: 15 };
  const latency = latencyOf([point]);
  expect(latency.meanMs(8)).toBeCloseTo(10);
  expect(latency.tailMs(8)).toBeCloseTo(15);
});

test('a worker learns what its slot is busy with: runs, and what is prepared in its thread', () => {
  const curve = {
    threads: 1,
    instances: 2,
    points: [pointOf(4, samples)],
    end: { kind: 'rows_max' as const },
    peakBytes: 0,
  };
  const sizeOf = (preparedIn: 'compute' | 'threads' | null) =>
    learnedFrom({ ...curve, preparedIn }).sizes[0];
  expect(sizeOf('compute')).toEqual({ rows: 4, runs: 50, meanMs: 51.5, age: 0 });
  expect(sizeOf('threads')?.meanMs).toBe(50.5);
  expect(sizeOf(null)?.meanMs).toBe(50.5);
});
