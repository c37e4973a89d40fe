/**
 * The best of what was measured, and what to measure next to know it. Pure.
 *
 * The batch of a setting is what the scheduler would take: the same derived cap, the same knee and the same
 * sum of waiting for the run before and riding in the next, held against the tail of what was measured. Of
 * the settings that keep the target the one with the most rows a second is best; among those that differ by
 * less than what can be measured, the one with the fewest threads, then the one that answers sooner.
 */
import { answerMs, type BatchCap, batchCap, type BatchCapPolicy } from '@inferry/scheduling';
import { type CurveEnd, type CurvePoint, latencyOf, type Setup, type SetupCurve } from './curve.ts';

export interface Goal {
  /** From acceptance to answer; null: as many rows a second as can be had. */
  readonly latencyTargetMs: number | null;
  /** Most rows of a run. */
  readonly rowsMax: number;
  /** What a batch costs beside its preparation and its run, ms. */
  readonly overheadMs: number;
}

/** What keeps the batch from being larger. */
type Bound = 'target' | 'knee' | CurveEnd['kind'];

/** A setting with the batch size that is best for it. */
export interface Candidate {
  readonly curve: SetupCurve;
  readonly point: CurvePoint;
  /** False when a single row already misses the target; `point` is what throughput asks for then. */
  readonly isFeasible: boolean;
  readonly bound: Bound;
  /** What 95 of 100 batches of this size stay within, as the scheduler sees it, ms. */
  readonly tailMs: number;
  /** A job that comes while all instances are busy waits for one and rides in the next batch, ms. */
  readonly answerMs: number;
  /** The same for a batch of one row. */
  readonly leastAnswerMs: number;
  /** All instances together, each running full batches. */
  readonly rowsPerSecond: number;
}

/** Throughputs that differ by less are the same. */
const tolerance = 0.05;
/** The rate may fall so far below the best before larger batches are given up. */
const slowerShare = 0.9;
/** Sizes tried between those of the ladder. */
const refinementsMax = 4;

export function candidateOf(curve: SetupCurve, goal: Goal): Candidate {
  const { instances: servers, points } = curve;
  const { overheadMs } = goal;
  const latency = latencyOf(points);
  const policy = policyOf(curve, goal);
  const { isFeasible, rows } = capOf(curve, goal);
  const point = largestUpTo(points, rows);
  const free = capOf(curve, { ...goal, latencyTargetMs: null });
  const isBoundByTarget = isFeasible && rows < free.rows;
  const isKnee = free.rows < policy.rowsMax;
  const answer = (size: number): number =>
    answerMs(latency, { overheadMs, servers }, size) ?? Infinity;
  return {
    curve,
    point,
    isFeasible,
    bound: isBoundByTarget ? 'target' : isKnee ? 'knee' : curve.end.kind,
    tailMs: latency.tailMs(point.rows) ?? Infinity,
    answerMs: answer(point.rows),
    leastAnswerMs: answer(1),
    rowsPerSecond: rateOf(point, overheadMs) * servers,
  };
}

/** The best candidate; of those that all miss the target, the one that misses it by the least. */
export function choose(curves: readonly SetupCurve[], goal: Goal): Candidate | null {
  const candidates = curves.map((curve) => candidateOf(curve, goal));
  const feasible = candidates.filter((candidate) => candidate.isFeasible);
  if (feasible.length === 0) {
    return candidates.toSorted((a, b) => a.leastAnswerMs - b.leastAnswerMs)[0] ?? null;
  }
  const most = Math.max(...feasible.map(({ rowsPerSecond }) => rowsPerSecond));
  const [best] = feasible
    .filter(({ rowsPerSecond }) => rowsPerSecond >= most * (1 - tolerance))
    .toSorted((a, b) => threadsOf(a.curve) - threadsOf(b.curve) || a.answerMs - b.answerMs);
  return best ?? null;
}

/**
 * The size to measure after `points`: twice the last, while that may be better, and then those that the
 * derived cap falls on. Null when nothing more is to be learned, with why the ladder went no further.
 */
export function nextRows(
  setup: Setup,
  points: readonly CurvePoint[],
  goal: Goal,
): { readonly rows: number } | { readonly end: CurveEnd } {
  const largest = points.at(-1);
  if (largest === undefined) return { rows: 1 };
  const end = ladderEnd(setup, points, goal);
  if (end === null) return { rows: Math.min(largest.rows * 2, goal.rowsMax) };
  const steps = Math.ceil(Math.log2(largest.rows)) + 1;
  if (points.length >= steps + refinementsMax) return { end: { kind: end } };
  const { rows } = capOf({ ...setup, points }, goal);
  const isKnown = points.some((point) => point.rows === rows);
  return isKnown ? { end: { kind: end } } : { rows };
}

/** Instances times threads. */
function threadsOf({ instances, threads }: Setup): number {
  return instances * Math.max(1, threads);
}

function ladderEnd(
  setup: Setup,
  points: readonly CurvePoint[],
  goal: Goal,
): 'rows_max' | 'target' | 'slower' | null {
  const [last, previous] = points.toReversed();
  if (last === undefined) return null;
  if (last.rows >= goal.rowsMax) return 'rows_max';
  const { latencyTargetMs, overheadMs } = goal;
  const needed = answerMs(latencyOf(points), { overheadMs, servers: setup.instances }, last.rows);
  if (latencyTargetMs !== null && (needed ?? 0) > latencyTargetMs) return 'target';
  const best = Math.max(...points.map((point) => rateOf(point, overheadMs)));
  const isSlower = (point: CurvePoint | undefined): boolean =>
    point !== undefined && rateOf(point, overheadMs) < best * slowerShare;
  return isSlower(last) && isSlower(previous) ? 'slower' : null;
}

/** The scheduler's own rule: the target is held against batches, the knee against how often one ends. */
function capOf(curve: Setup & Pick<SetupCurve, 'points'>, goal: Goal): BatchCap {
  const latency = latencyOf(curve.points);
  const cycles = curve.points.map(({ batches, cycleMs, rows }) => {
    return { rows, runs: batches, meanMs: cycleMs, age: 0 };
  });
  const known = { tailMs: (rows: number) => latency.tailMs(rows), measured: () => cycles };
  return batchCap(known, policyOf(curve, goal));
}

function policyOf(
  { instances, points }: Setup & Pick<SetupCurve, 'points'>,
  { latencyTargetMs, overheadMs, rowsMax }: Goal,
): BatchCapPolicy {
  // Nothing is recommended that was not run.
  const most = Math.min(rowsMax, points.at(-1)?.rows ?? 1);
  return { rowsMax: most, latencyTargetMs, servers: instances, overheadMs, seeksKnee: true };
}

/** Rows a second of one instance. */
export function rateOf({ cycleMs, rows }: CurvePoint, overheadMs: number): number {
  return (rows * 1_000) / (cycleMs + overheadMs);
}

function largestUpTo(points: readonly CurvePoint[], rows: number): CurvePoint {
  const fitting = points.findLast((point) => point.rows <= rows) ?? points[0];
  if (fitting === undefined) throw new Error('a curve has points');
  return fitting;
}
