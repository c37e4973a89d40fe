/**
 * Many durations in bounded memory: count, mean, standard deviation and extremes are exact, quantiles are
 * read from a high dynamic range histogram (http://hdrhistogram.org, the one that Node has built in), whose
 * buckets are a thousandth of their value wide. Parts recorded apart can be put together.
 */
import { createHistogram } from 'node:perf_hooks';

/** In ms, to a hundredth; of no durations, zeros. */
export interface DurationSummary {
  readonly count: number;
  readonly mean_ms: number;
  readonly std_ms: number;
  readonly median_ms: number;
  readonly p99_ms: number;
  readonly min_ms: number;
  readonly max_ms: number;
}

const usPerMs = 1_000;
/** Longer ones count as a day in quantiles, and as what they are in everything else. */
const usMax = 86_400_000 * usPerMs;

export class Durations {
  readonly #histogram = createHistogram({ lowest: 1, highest: usMax, figures: 3 });
  #count = 0;
  #meanMs = 0;
  /** Sum of the squared distances from the mean (Welford, "Note on a method...", 1962). */
  #squares = 0;
  #minMs = Number.POSITIVE_INFINITY;
  #maxMs = 0;

  static of(manyMs: Iterable<number>): Durations {
    const durations = new Durations();
    for (const ms of manyMs) durations.add(ms);
    return durations;
  }

  /** A duration in ms; less than nothing, from clocks that disagree, counts as nothing. */
  add(ms: number): void {
    const value = Math.max(0, ms);
    this.#count += 1;
    const distance = value - this.#meanMs;
    this.#meanMs += distance / this.#count;
    this.#squares += distance * (value - this.#meanMs);
    this.#minMs = Math.min(this.#minMs, value);
    this.#maxMs = Math.max(this.#maxMs, value);
    this.#histogram.record(Math.min(usMax, Math.max(1, Math.round(value * usPerMs))));
  }

  /** Takes in what `other` has recorded (Chan, Golub and LeVeque, 1979, for the variance). */
  merge(other: Durations): void {
    if (other.#count === 0) return;
    const count = this.#count + other.#count;
    const distance = other.#meanMs - this.#meanMs;
    this.#squares += other.#squares + (distance ** 2 * this.#count * other.#count) / count;
    this.#meanMs += (distance * other.#count) / count;
    this.#count = count;
    this.#minMs = Math.min(this.#minMs, other.#minMs);
    this.#maxMs = Math.max(this.#maxMs, other.#maxMs);
    this.#histogram.add(other.#histogram);
  }

  get count(): number {
    return this.#count;
  }

  /** 0 of no durations. */
  get meanMs(): number {
    return this.#meanMs;
  }

  /** Of the durations as a whole population; 0 of none. */
  get stdMs(): number {
    return Math.sqrt(this.#squares / Math.max(1, this.#count));
  }

  get minMs(): number {
    return this.#count === 0 ? 0 : this.#minMs;
  }

  get maxMs(): number {
    return this.#maxMs;
  }

  /** The least duration that `share` (above 0, at most 1) of all stay within, to a thousandth; 0 of none. */
  quantileMs(share: number): number {
    if (this.#count === 0) return 0;
    const ms = this.#histogram.percentile(share * 100) / usPerMs;
    return Math.min(this.#maxMs, Math.max(this.#minMs, ms));
  }

  summary(): DurationSummary {
    return {
      count: this.#count,
      mean_ms: hundredths(this.meanMs),
      std_ms: hundredths(this.stdMs),
      median_ms: hundredths(this.quantileMs(0.5)),
      p99_ms: hundredths(this.quantileMs(0.99)),
      min_ms: hundredths(this.minMs),
      max_ms: hundredths(this.maxMs),
    };
  }
}

function hundredths(value: number): number {
  return Math.round(value * 100) / 100;
}
