/**
 * What was measured of one setting: for each batch size, what a batch takes while all instances run. Pure.
 *
 * A batch's time is its preparation, where inputs were given, and its run. How often an instance ends one is
 * another matter where the next batch is prepared meanwhile.
 */
import { LatencyModel, type LatencySnapshot } from '@inferry/scheduling';
import type { BatchSample } from '@inferry/worker';

/** One batch size. Times in ms. */
export interface CurvePoint {
  readonly rows: number;
  readonly batches: number;
  /** Of preparation and run together. */
  readonly meanMs: number;
  readonly p50Ms: number;
  readonly p95Ms: number;
  /** Half the width of the 95 % confidence interval of the mean, by the mean; infinity for one batch. */
  readonly uncertainty: number;
  /** Mean time from one batch of an instance to its next: less than the mean where preparation overlaps runs. */
  readonly cycleMs: number;
  /** Mean of the run alone. */
  readonly computeMs: number;
  /** 95 of 100 runs alone take no longer. */
  readonly computeP95Ms: number;
}

/** Why no larger batch was measured. */
export type CurveEnd =
  | { readonly kind: 'rows_max' | 'target' | 'slower' | 'memory' | 'time' }
  /** The model refused the next size, or the process ended under it. */
  | { readonly kind: 'failed'; readonly rows: number; readonly reason: string };

export interface Setup {
  /** Threads inside one run; 0 leaves the choice to ONNX Runtime. */
  readonly threads: number;
  readonly instances: number;
}

export interface SetupCurve extends Setup {
  /** By rows; never empty. */
  readonly points: readonly CurvePoint[];
  readonly end: CurveEnd;
  /** Where inputs were prepared; null: zeros were run. */
  readonly preparedIn: 'compute' | 'threads' | null;
  /** By how much the memory of the process grew from before the model was loaded to its peak. */
  readonly peakBytes: number;
}

const runsKeptMax = 50;
const tailFactorMax = 3;

/** The samples of one size as a point; at least one sample. */
export function pointOf(rows: number, samples: readonly BatchSample[]): CurvePoint {
  const batchMs = samples.map(({ computeMs, prepareMs }) => prepareMs + computeMs);
  const runMs = samples.map(({ computeMs }) => computeMs);
  return {
    rows,
    batches: samples.length,
    meanMs: meanOf(batchMs),
    p50Ms: quantile(batchMs, 0.5),
    p95Ms: quantile(batchMs, 0.95),
    uncertainty: uncertaintyOf(batchMs),
    cycleMs: meanOf(samples.map(({ cycleMs }) => cycleMs)),
    computeMs: meanOf(runMs),
    computeP95Ms: quantile(runMs, 0.95),
  };
}

/** Half the width of the 95 % confidence interval of the mean, by the mean (normal approximation). */
export function uncertaintyOf(values: readonly number[]): number {
  if (values.length < 2) return Infinity;
  const mean = meanOf(values);
  const squares = values.reduce((sum, value) => sum + (value - mean) ** 2, 0);
  const deviation = Math.sqrt(squares / (values.length - 1));
  return mean === 0 ? 0 : (1.96 * deviation) / Math.sqrt(values.length) / mean;
}

/** What the scheduler would believe of these batches, preparation included. */
export function latencyOf(points: readonly CurvePoint[]): LatencyModel {
  return new LatencyModel(
    snapshotOf(points.map(({ meanMs, p95Ms, ...point }) => ({ ...point, ms: meanMs, p95Ms }))),
  );
}

/** What a worker would have learned of these runs: what its slots were busy with. */
export function learnedFrom({ points, preparedIn }: SetupCurve): LatencySnapshot {
  if (preparedIn === 'compute') return latencyOf(points).snapshot();
  return snapshotOf(
    points.map(({ computeMs, computeP95Ms, ...point }) => ({
      ...point,
      ms: computeMs,
      p95Ms: computeP95Ms,
    })),
  );
}

/** The tail is one factor for all sizes: the mean of theirs, each counting as its batches. */
function snapshotOf(
  points: readonly {
    readonly rows: number;
    readonly batches: number;
    readonly ms: number;
    readonly p95Ms: number;
  }[],
): LatencySnapshot {
  const batches = points.reduce((sum, point) => sum + point.batches, 0);
  const tail = points.reduce((sum, { batches, ms, p95Ms }) => {
    return sum + (ms === 0 ? 1 : p95Ms / ms) * batches;
  }, 0);
  return {
    sizes: points.map(({ batches, ms, rows }) => ({
      rows,
      runs: Math.min(batches, runsKeptMax),
      meanMs: ms,
      age: 0,
    })),
    tailFactor: Math.min(Math.max(tail / batches, 1), tailFactorMax),
  };
}

function meanOf(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

/** The smallest value that so large a share of the values does not exceed. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? 0;
}
