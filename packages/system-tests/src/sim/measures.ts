/** Figures of one run of the world. */
import type { Request, World } from './world.ts';

export interface Figures {
  readonly ended: number;
  readonly refusedShare: number;
  readonly answeredPerSecond: number;
  /** Answers within the target. */
  readonly goodPerSecond: number;
  /** Of the answers, by attempt, ms. */
  readonly answers: Spread;
  /** Share of the answers that were within the target. */
  readonly goodShare: number;
  /** Of the refusals, ms. */
  readonly refusals: Spread;
  /** From the first attempt to the answer, ms. */
  readonly logical: Spread;
  readonly attemptsPerAnswer: number;
  /** Share of the answers that were given a job first. */
  readonly jobShare: number;
  /** Most requests that started before an earlier one. */
  readonly overtakesMax: number;
  readonly busyShare: number;
  readonly rowsPerRun: number;
}

export interface Spread {
  readonly count: number;
  readonly mean: number;
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
}

export function figures(
  world: World,
  targetMs: number,
  among: (request: Request) => boolean = () => true,
): Figures {
  const ended = world.ended.filter(among);
  const answered = ended.filter(({ end }) => end === 'answered');
  const refused = ended.filter(({ end }) => end === 'refused');
  const lastMs = world.ended.reduce((last, { endedAtMs }) => Math.max(last, endedAtMs), 0);
  const seconds = Math.max(lastMs, 1) / 1_000;
  const good = answered.filter((request) => attemptMs(request) <= targetMs).length;
  return {
    ended: ended.length,
    refusedShare: share(refused.length, ended.length),
    answeredPerSecond: answered.length / seconds,
    goodPerSecond: good / seconds,
    answers: spread(answered.map(attemptMs)),
    goodShare: share(good, answered.length),
    refusals: spread(refused.map(attemptMs)),
    logical: spread(answered.map(({ bornAtMs, endedAtMs }) => endedAtMs - bornAtMs)),
    attemptsPerAnswer: share(ended.length, answered.length),
    jobShare: share(answered.filter(({ isJob }) => isJob).length, answered.length),
    overtakesMax: overtakesMax(inOrderOfStart(answered)),
    busyShare: share(world.busyMs / world.workers, lastMs),
    rowsPerRun: share(
      world.runs.reduce((sum, rows) => sum + rows, 0),
      world.runs.length,
    ),
  };
}

function inOrderOfStart(answered: readonly Request[]): readonly number[] {
  return answered.toSorted((a, b) => a.start - b.start).map(({ order }) => order);
}

function attemptMs({ endedAtMs, sentAtMs }: Request): number {
  return endedAtMs - sentAtMs;
}

function share(part: number, whole: number): number {
  return whole === 0 ? 0 : part / whole;
}

/** All members are 0 when there are no values. */
export function spread(values: readonly number[]): Spread {
  const sorted = values.toSorted((a, b) => a - b);
  const rank = (quantile: number): number =>
    sorted[Math.max(0, Math.ceil(quantile * sorted.length) - 1)] ?? 0;
  const sum = sorted.reduce((total, value) => total + value, 0);
  return {
    count: sorted.length,
    mean: share(sum, sorted.length),
    p50: rank(0.5),
    p99: rank(0.99),
    max: sorted.at(-1) ?? 0,
  };
}

/**
 * The most places by which anybody was overtaken, from the places of arrival in the order of service:
 * for each, how many larger ones were served before it. Counted in a Fenwick tree, O(n log n).
 */
export function overtakesMax(places: readonly number[]): number {
  const size = places.reduce((largest, place) => Math.max(largest, place), -1) + 1;
  const tree = new Int32Array(size + 1);
  let most = 0;
  let served = 0;
  for (const place of places) {
    let servedUpTo = 0;
    for (let at = place + 1; at > 0; at -= at & -at) servedUpTo += tree[at] ?? 0;
    most = Math.max(most, served - servedUpTo);
    for (let at = place + 1; at <= size; at += at & -at) tree[at] = (tree[at] ?? 0) + 1;
    served += 1;
  }
  return most;
}
