/**
 * The knee: the smallest batch that costs about as little a row as the best one. Read off the sizes that
 * ran and never off an estimate. Assumes that the cost a row falls, and then perhaps rises. Pure.
 */
import type { LatencyModel } from './latency-model.ts';

/** A size is good enough when its cost a row is within this factor of the best. */
const tolerance = 1.05;
/** A size has to run so often before its cost is believed. */
const runsMin = 3;
/** Two sizes that differ by less than this share need nothing between them tried. */
const gapShare = 0.125;

interface Cost {
  readonly rows: number;
  readonly rowMs: number;
}

type Measured = Pick<LatencyModel, 'measured'>;

/**
 * Most rows that pay. While sizes between the knee and the next larger one that ran are untried it is half
 * way there, so that full batches try them; `rowsMax` when nothing larger than the knee ran. `overheadMs`:
 * what a run costs beside its compute.
 */
export function kneeRows(latency: Measured, rowsMax: number, overheadMs: number): number {
  const { costs, knee } = costsOf(latency, rowsMax, overheadMs);
  const [least, next] = knee < 0 ? [] : costs.slice(knee);
  if (least === undefined || next === undefined) return rowsMax;
  return Math.floor((least.rows + next.rows) / 2);
}

/** The size to try next to find the knee; null when it is found, or when only time can tell. */
export function untriedRows(latency: Measured, rowsMax: number, overheadMs: number): number | null {
  const { best, costs, knee } = costsOf(latency, rowsMax, overheadMs);
  const gaps = [knee, knee - 1, best - 1].map((at) => [costs[at], costs[at + 1]] as const);
  for (const [below, above] of gaps) {
    if (below === undefined || above === undefined) continue;
    const isOpen = above.rows - below.rows > Math.max(1, below.rows * gapShare);
    if (isOpen) return Math.floor((below.rows + above.rows) / 2);
  }
  return null;
}

/** What a row costs at the sizes that ran, and the places of the best and of the knee; -1 when none ran. */
function costsOf(
  latency: Measured,
  rowsMax: number,
  overheadMs: number,
): { readonly costs: readonly Cost[]; readonly best: number; readonly knee: number } {
  const costs = latency
    .measured()
    .filter(({ rows, runs }) => rows <= rowsMax && runs >= runsMin)
    .map(({ meanMs, rows }) => ({ rows, rowMs: (meanMs + overheadMs) / rows }));
  const leastMs = costs.reduce((least, { rowMs }) => Math.min(least, rowMs), Infinity);
  const best = costs.findIndex(({ rowMs }) => rowMs === leastMs);
  const knee = costs.findIndex(({ rowMs }) => rowMs <= leastMs * tolerance);
  return { costs, best, knee };
}
