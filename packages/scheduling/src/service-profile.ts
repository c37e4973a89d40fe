/** What a worker tells the queue of its speed, from what it has learned. Pure. */
import type { ServicePoint, ServiceProfile } from '@inferry/contracts';
import { invariant } from '@inferry/runtime';
import type { LatencyModel } from './latency-model.ts';
import { tailFactorMax } from './latency-snapshot.ts';

/** A row takes some time, however short: speeds are its inverse. */
const rowWorkMsMin = 1e-3;

export interface ProfilePolicy {
  /** Most rows of a batch, at least 1. */
  readonly rowsMax: number;
  /** What a batch costs beside its compute, ms. */
  readonly overheadMs: number;
  /** Runs of the class at a time in this worker, at least 1. */
  readonly runs: number;
  /** How much longer runs seem because other classes have the device in between, at least 1. */
  readonly stretch: number;
  /** By how much promises have to be more careful than what was learned says, at least 1. */
  readonly safety: number;
}

/** At 1, 2, 4, ... rows and at `rowsMax`; null while nothing was measured. */
export function profileOf(
  latency: Pick<LatencyModel, 'meanMs' | 'tailFactor'>,
  policy: ProfilePolicy,
): ServiceProfile | null {
  const { overheadMs, rowsMax, safety, stretch } = policy;
  invariant(rowsMax >= 1, 'a batch holds at least one row');
  const points: ServicePoint[] = [];
  let fullRunMs = 0;
  for (const rows of sizes(rowsMax)) {
    const runMs = latency.meanMs(rows);
    if (runMs === undefined) return null;
    fullRunMs = runMs;
    points.push({ rows, ms: (runMs + overheadMs) * stretch });
  }
  const tailFactor = Math.min(Math.max(latency.tailFactor * safety, 1), tailFactorMax);
  const rowWorkMs = rowWorkOf(fullRunMs, policy);
  return { rowsMax, points, tailFactor, rowWorkMs };
}

/**
 * Time of the worker that a row takes in full batches: the runs that it makes at a time share a batch's
 * time, and what a batch costs beside its run is done meanwhile, for one batch more than run.
 */
function rowWorkOf(runMs: number, { overheadMs, rowsMax, runs }: ProfilePolicy): number {
  invariant(runs >= 1, 'a class runs at least one batch at a time');
  const batchMs = Math.max(runMs / runs, (runMs + overheadMs) / (runs + 1));
  return Math.max(batchMs / rowsMax, rowWorkMsMin);
}

function sizes(rowsMax: number): readonly number[] {
  const sizes: number[] = [];
  for (let rows = 1; rows < rowsMax; rows *= 2) sizes.push(rows);
  return [...sizes, rowsMax];
}
