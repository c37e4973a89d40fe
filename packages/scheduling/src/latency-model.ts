/**
 * What a run of so many rows takes, learned from the runs themselves: one model per served model, provider
 * and device. A size that ran often answers with its own mean; a size that ran seldom or never leans on a
 * straight line through the sizes that did.
 *
 * Promises: an answer is finite, not negative and does not fall when rows rise. The line is fitted to one
 * mean per size and not to runs, so that a thousand runs of one size do not drown the others.
 */
import { invariant } from '@inferry/runtime';
import {
  flawOf,
  isDuration,
  type LatencySnapshot,
  type MeasuredSize,
  runsKeptMax,
  sizesMax,
  tailFactorMax,
} from './latency-snapshot.ts';

/** A size pulls on the line with one unit a run, up to this. */
const lineWeightMax = 8;
/** What a size says counts half after so many runs of others: by then the machine may be another. */
const halfLifeRuns = 200;
const freshnessMin = 1e-3;
/** What a size remembers at least when it runs again after long, unless it ran less. */
const runsRemembered = 2;
/** The line counts as much as so many runs of a size. */
const lineRuns = 4;
const tailShare = 0.95;
const tailStep = 0.02;
/** What others learned of a size counts as at most so many runs, and until it ran as often here. */
const seedRunsMax = 8;
/** A seed that is off by more than this was learned on another device. */
const seedRatioMax = 2;
/** A device that did nothing for longer is cold: clocks are down, caches are empty. */
const warmIdleMsMax = 5_000;
const coldGain = 0.2;
const coldFactorMax = 100;

/** One run that succeeded. */
export interface RunSample {
  readonly rows: number;
  readonly durationMs: number;
  /** The first run of this size in its session, which pays for allocations and kernel choice. */
  readonly isFirst: boolean;
  /** For how long the device did nothing before the run, ms. */
  readonly idleMs: number;
}

interface Knot {
  readonly rows: number;
  readonly ms: number;
}

interface Curve {
  readonly sizes: readonly MeasuredSize[];
  readonly line: (rows: number) => number;
  /** The measured sizes, by rows; `ms` never falls. */
  readonly knots: readonly Knot[];
}

export class LatencyModel {
  /** By rows. */
  readonly #sizes = new Map<number, { runs: number; meanMs: number; lastRun: number }>();
  #runs = 0;
  #tailFactor = 1;
  #coldFactor = 1;
  /** All that is known are runs of a cold device: better than nothing, and no more than that. */
  #isColdOnly = false;
  /** Sizes that lean on a seed, with their runs since. */
  readonly #seeds = new Map<number, number>();
  /** Derived from `#sizes`; null when they changed since. */
  #curve: Curve | null = null;

  /** `snapshot`: where to go on from. */
  constructor(snapshot?: LatencySnapshot) {
    if (snapshot === undefined) return;
    const flaw = flawOf(snapshot);
    invariant(flaw === null, flaw ?? '');
    for (const { age, meanMs, rows, runs } of snapshot.sizes) {
      this.#sizes.set(rows, { runs, meanMs, lastRun: -age });
    }
    this.#tailFactor = snapshot.tailFactor;
  }

  /**
   * A model that starts with what another process learned. It believes its own runs sooner, and when the
   * first run of a size takes more than twice or less than half as long as the seed says of it, or of sizes
   * that take no longer or no shorter, the device is another than it was: then all of the seed is forgotten.
   */
  static seeded(snapshot: LatencySnapshot): LatencyModel {
    const sizes = snapshot.sizes.map((size) => ({
      ...size,
      runs: Math.min(size.runs, seedRunsMax),
    }));
    const model = new LatencyModel({ ...snapshot, sizes });
    for (const { rows } of sizes) model.#seeds.set(rows, 0);
    return model;
  }

  /**
   * Learns from a run that succeeded. A first run, and what is no duration, teaches nothing; a run of a cold
   * device only moves {@link coldFactor}, but where nothing else is known it counts until another comes. Returns what the run took by what was expected of it; null when
   * nothing was expected, or for a run that is not like the others.
   */
  record({ durationMs, idleMs, isFirst, rows }: RunSample): number | null {
    invariant(Number.isInteger(rows) && rows >= 1, 'a run has at least one row');
    if (isFirst || !isDuration(durationMs)) return null;
    const ratio = ratioOf(durationMs, this.meanMs(rows));
    const isCold = idleMs > warmIdleMsMax;
    if (isCold && this.#sizes.size > 0 && !this.#isColdOnly) {
      this.#learnCold(ratio);
      return null;
    }
    if (this.#isColdOnly && !isCold) this.#forgetAll(this.#sizes.keys());
    this.#isColdOnly = isCold;
    this.#learn(rows, durationMs);
    return isCold ? null : ratio;
  }

  #learn(rows: number, durationMs: number): void {
    this.#checkSeed(rows, durationMs);
    const known = this.#sizes.get(rows);
    if (known !== undefined) this.#learnTail(durationMs, this.meanMs(rows) ?? 0);
    this.#runs += 1;
    const runs = Math.min(this.#remembered(known) + 1, runsKeptMax);
    const meanMs = known?.meanMs ?? durationMs;
    const mean = meanMs + (durationMs - meanMs) / runs;
    this.#sizes.set(rows, { runs, meanMs: mean, lastRun: this.#runs });
    this.#curve = null;
    if (this.#sizes.size > sizesMax) this.#forget();
  }

  /** The expected duration of a run of `rows` rows in ms; undefined while nothing was measured. */
  meanMs(rows: number): number | undefined {
    if (this.#sizes.size === 0) return undefined;
    const { knots, line } = this.#fitted();
    const below = knots.findLast((knot) => knot.rows <= rows);
    if (below?.rows === rows) return below.ms;
    const above = knots.find((knot) => knot.rows > rows);
    return clamp(line(rows), below?.ms ?? 0, above?.ms ?? Infinity);
  }

  /** The duration that 95 of 100 runs of `rows` rows stay within, ms; undefined like {@link meanMs}. */
  tailMs(rows: number): number | undefined {
    const meanMs = this.meanMs(rows);
    return meanMs === undefined ? undefined : meanMs * this.#tailFactor;
  }

  /** 95 of 100 runs stay within so many times the expected duration, 1..3. */
  get tailFactor(): number {
    return this.#tailFactor;
  }

  /** How many times the expected duration a run takes when the device did nothing for 5 s, at least 1. */
  get coldFactor(): number {
    return this.#coldFactor;
  }

  /** The sizes that ran, by rows. */
  measured(): readonly MeasuredSize[] {
    return this.#sizes.size === 0 ? [] : this.#fitted().sizes;
  }

  /** For another model to start from; without runs of a cold device. */
  snapshot(): LatencySnapshot {
    if (this.#isColdOnly) return { sizes: [], tailFactor: 1 };
    return { sizes: this.measured(), tailFactor: this.#tailFactor };
  }

  #fitted(): Curve {
    this.#curve ??= curveOf(
      [...this.#sizes]
        .map(([rows, { lastRun, ...size }]) => ({ rows, ...size, age: this.#runs - lastRun }))
        .toSorted((a, b) => a.rows - b.rows),
    );
    return this.#curve;
  }

  /** Runs of a size that still count when it runs again. */
  #remembered(known: { readonly runs: number; readonly lastRun: number } | undefined): number {
    if (known === undefined) return 0;
    const { lastRun, runs } = known;
    const age = this.#runs - 1 - lastRun;
    return Math.max(Math.min(runs, runsRemembered), runs * freshness(age));
  }

  /** Forgets the size that ran longest ago, but never the ends: they hold the line. */
  #forget(): void {
    const [oldest] = this.measured()
      .slice(1, -1)
      .toSorted((a, b) => b.age - a.age);
    if (oldest !== undefined) {
      this.#sizes.delete(oldest.rows);
      this.#seeds.delete(oldest.rows);
    }
    this.#curve = null;
  }

  /** Forgets the seed when the first run of a size contradicts it. */
  #checkSeed(rows: number, durationMs: number): void {
    const runs = this.#seeds.get(rows);
    const isFirst = runs === 0 || !this.#sizes.has(rows);
    if (isFirst && this.#contradictsSeed(rows, durationMs)) {
      this.#forgetAll(this.#seeds.keys());
      this.#seeds.clear();
    } else if (runs === undefined) return;
    else if (runs + 1 < seedRunsMax) this.#seeds.set(rows, runs + 1);
    else this.#seeds.delete(rows);
  }

  /** More rows take no less time, so that a run has something to say of all sizes that have not run yet. */
  #contradictsSeed(rows: number, durationMs: number): boolean {
    return [...this.#seeds].some(([seeded, runs]) => {
      const meanMs = this.#sizes.get(seeded)?.meanMs;
      if (runs > 0 || meanMs === undefined) return false;
      const isTooLong = seeded >= rows && durationMs > meanMs * seedRatioMax;
      const isTooShort = seeded <= rows && durationMs < meanMs / seedRatioMax;
      return isTooLong || isTooShort;
    });
  }

  #forgetAll(sizes: Iterable<number>): void {
    for (const rows of sizes) this.#sizes.delete(rows);
    this.#tailFactor = 1;
    this.#curve = null;
  }

  #learnCold(ratio: number | null): void {
    if (ratio === null) return;
    const step = coldGain * (Math.min(ratio, coldFactorMax) - this.#coldFactor);
    this.#coldFactor = Math.max(1, this.#coldFactor + step);
  }

  /** Steps towards the ratio that 95 % of the runs stay below; a single outlier moves it by one step. */
  #learnTail(durationMs: number, expectedMs: number): void {
    const isAbove = durationMs > this.#tailFactor * expectedMs;
    const step = tailStep * (isAbove ? tailShare : tailShare - 1);
    this.#tailFactor = clamp(this.#tailFactor + step, 1, tailFactorMax);
  }
}

/** Null where the expected time says nothing. */
function ratioOf(durationMs: number, expectedMs: number | undefined): number | null {
  const ratio = durationMs / (expectedMs ?? Number.NaN);
  return Number.isFinite(ratio) ? ratio : null;
}

function freshness(age: number): number {
  return Math.max(freshnessMin, 2 ** (-age / halfLifeRuns));
}

function clamp(value: number, least: number, most: number): number {
  return Math.min(Math.max(value, least), most);
}

function curveOf(sizes: readonly MeasuredSize[]): Curve {
  const line = fitLine(sizes);
  const points = sizes.map(({ age, meanMs, rows, runs }) => {
    const own = runs * freshness(age);
    const weight = own + lineRuns;
    return { rows, ms: (own * meanMs + lineRuns * line(rows)) / weight, weight };
  });
  return { sizes, line, knots: neverFalling(points) };
}

/** Weighted least squares; neither the fixed time of a run nor the time of a row is negative. */
function fitLine(sizes: readonly MeasuredSize[]): (rows: number) => number {
  const [first, ...others] = sizes;
  invariant(first !== undefined, 'a line needs a point');
  // One size says nothing of the slope. Larger ones are taken as proportional and smaller ones as equal:
  // both are too slow rather than too fast.
  if (others.length === 0) return (rows) => first.meanMs * Math.max(1, rows / first.rows);
  const weightOf = ({ age, runs }: MeasuredSize): number =>
    Math.min(runs, lineWeightMax) * freshness(age);
  const sum = (term: (size: MeasuredSize) => number): number =>
    sizes.reduce((total, size) => total + weightOf(size) * term(size), 0);
  const weight = sum(() => 1);
  const rowsMean = sum((size) => size.rows) / weight;
  const msMean = sum((size) => size.meanMs) / weight;
  const slope =
    sum((size) => (size.rows - rowsMean) * (size.meanMs - msMean)) /
    sum((size) => (size.rows - rowsMean) ** 2);
  if (slope <= 0) return () => msMean;
  const fixedMs = msMean - slope * rowsMean;
  if (fixedMs >= 0) return (rows) => fixedMs + slope * rows;
  const rowMs = sum((size) => size.rows * size.meanMs) / sum((size) => size.rows ** 2);
  return (rows) => rowMs * rows;
}

/** The nearest values that never fall: neighbours that do are pooled into their mean. */
function neverFalling(
  points: readonly { readonly rows: number; readonly ms: number; readonly weight: number }[],
): readonly Knot[] {
  const pools: { ms: number; weight: number; readonly rows: number[] }[] = [];
  for (const { ms, rows, weight } of points) {
    let pool = { ms, weight, rows: [rows] };
    for (let last = pools.at(-1); last !== undefined && last.ms > pool.ms; last = pools.at(-1)) {
      pools.pop();
      const both = last.weight + pool.weight;
      pool = {
        ms: (last.ms * last.weight + pool.ms * pool.weight) / both,
        weight: both,
        rows: [...last.rows, ...pool.rows],
      };
    }
    pools.push(pool);
  }
  return pools.flatMap((pool) => pool.rows.map((rows) => ({ rows, ms: pool.ms })));
}
