/**
 * How many rows a worker takes into one run. Derived, not configured: the most that keeps the latency
 * target, and no more than pays in throughput. Pure.
 *
 * A newcomer waits for the next server to be free and then rides, which with `servers` evenly staggered
 * servers takes s + s / servers. The target is held against the tail of s, or one batch in two would miss it.
 */
import { invariant } from '@inferry/runtime';
import { kneeRows } from './knee.ts';
import type { LatencyModel } from './latency-model.ts';

export interface BatchCapPolicy {
  /** Most rows the model takes, at least 1. */
  readonly rowsMax: number;
  /** Desired time from acceptance to answer; null when none is set. */
  readonly latencyTargetMs: number | null;
  /** Sessions that share the queue of this class, at least 1. */
  readonly servers: number;
  /** What a run costs beside its compute, ms: its claim and its settlement. */
  readonly overheadMs: number;
  /** Whether larger batches can be slower a row, as they can on a CPU: then no more rows than pay. */
  readonly seeksKnee: boolean;
}

export interface BatchCap {
  readonly rows: number;
  /** False when a single row already misses the target; `rows` is what throughput asks for then. */
  readonly isFeasible: boolean;
}

/** The cap as far as `latency` knows; `rowsMax` while it knows nothing. */
export function batchCap(
  latency: Pick<LatencyModel, 'tailMs' | 'measured'>,
  policy: BatchCapPolicy,
): BatchCap {
  const { latencyTargetMs, overheadMs, rowsMax, seeksKnee } = policy;
  invariant(rowsMax >= 1, 'a batch holds at least one row');
  const knee = kneeRows(latency, rowsMax, overheadMs);
  const most = seeksKnee ? knee : rowsMax;
  if (latencyTargetMs === null) return { rows: most, isFeasible: true };
  const fits = (rows: number): boolean => (answerMs(latency, policy, rows) ?? 0) <= latencyTargetMs;
  if (!fits(1)) return { rows: knee, isFeasible: false };
  return { rows: largest(most, fits), isFeasible: true };
}

/** What a job waits and runs when batches have `rows` rows and nothing is queued, ms; undefined while unknown. */
export function answerMs(
  latency: Pick<LatencyModel, 'tailMs'>,
  { overheadMs, servers }: Pick<BatchCapPolicy, 'overheadMs' | 'servers'>,
  rows: number,
): number | undefined {
  invariant(servers >= 1, 'at least this worker serves the class');
  const runMs = latency.tailMs(rows);
  return runMs === undefined ? undefined : runMs * (1 + 1 / servers) + overheadMs;
}

/** The largest of 1..`most` that fits; 1 fits, and what fits has only smaller ones that fit. */
function largest(most: number, fits: (rows: number) => boolean): number {
  let fitting = 1;
  let failing = most + 1;
  while (failing - fitting > 1) {
    const middle = Math.floor((fitting + failing) / 2);
    if (fits(middle)) fitting = middle;
    else failing = middle;
  }
  return fitting;
}
