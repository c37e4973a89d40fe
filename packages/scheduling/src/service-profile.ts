/** What a worker tells the queue of its speed, from what it has learned. Pure. */
import type { ServicePoint, ServiceProfile } from '@inferry/contracts';
import { invariant } from '@inferry/runtime';
import type { LatencyModel } from './latency-model.ts';
import { tailFactorMax } from './latency-snapshot.ts';

export interface ProfilePolicy {
  /** Most rows of a batch, at least 1. */
  readonly rowsMax: number;
  /** What a batch costs beside its compute, ms. */
  readonly overheadMs: number;
  /** How much longer runs seem because other classes have the device in between, at least 1. */
  readonly stretch: number;
  /** By how much promises have to be more careful than what was learned says, at least 1. */
  readonly safety: number;
}

/** At 1, 2, 4, ... rows and at `rowsMax`; null while nothing was measured. */
export function profileOf(
  latency: Pick<LatencyModel, 'meanMs' | 'tailFactor'>,
  { overheadMs, rowsMax, safety, stretch }: ProfilePolicy,
): ServiceProfile | null {
  invariant(rowsMax >= 1, 'a batch holds at least one row');
  const points: ServicePoint[] = [];
  for (const rows of sizes(rowsMax)) {
    const runMs = latency.meanMs(rows);
    if (runMs === undefined) return null;
    points.push({ rows, ms: (runMs + overheadMs) * stretch });
  }
  const tailFactor = Math.min(Math.max(latency.tailFactor * safety, 1), tailFactorMax);
  return { rowsMax, points, tailFactor };
}

function sizes(rowsMax: number): readonly number[] {
  const sizes: number[] = [];
  for (let rows = 1; rows < rowsMax; rows *= 2) sizes.push(rows);
  return [...sizes, rowsMax];
}
