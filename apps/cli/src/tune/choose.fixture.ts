/** Curves with a known cost of every batch, for tests of what is chosen. */
import type { CurvePoint, Setup, SetupCurve } from './curve.ts';

export type CostMs = (rows: number) => number;

/** 1, 2, 4, ... and `rowsMax`, each measured exactly. */
export function exactCurve(setup: Setup, costMs: CostMs, rowsMax: number): SetupCurve {
  const points: CurvePoint[] = [];
  for (let rows = 1; rows < rowsMax; rows *= 2) points.push(exactPoint(rows, costMs(rows)));
  points.push(exactPoint(rowsMax, costMs(rowsMax)));
  return { ...setup, points, end: { kind: 'rows_max' }, preparedIn: null, peakBytes: 0 };
}

export function exactPoint(rows: number, ms: number): CurvePoint {
  return {
    rows,
    batches: 50,
    meanMs: ms,
    p50Ms: ms,
    p95Ms: ms,
    uncertainty: 0,
    cycleMs: ms,
    computeMs: ms,
    computeP95Ms: ms,
  };
}
