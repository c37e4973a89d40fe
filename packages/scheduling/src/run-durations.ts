/** What runs of each size took lately: the mean of the last few, per row count. */
import { invariant } from '@inferry/runtime';

const windowDefault = 16;

export class RunDurations {
  readonly #window: number;
  /** Per row count: durations in ms, oldest first, at most `#window` of them. */
  readonly #bySize = new Map<number, number[]>();

  /** `window`: how many of the last runs of a size count, at least 1. */
  constructor(window = windowDefault) {
    invariant(window >= 1, 'a mean needs at least one run');
    this.#window = window;
  }

  /** Notes that a run of `rows` rows took `durationMs`. */
  record(rows: number, durationMs: number): void {
    const durations = this.#bySize.get(rows) ?? [];
    durations.push(durationMs);
    if (durations.length > this.#window) durations.shift();
    this.#bySize.set(rows, durations);
  }

  /**
   * The mean of the last runs of this size in ms. For a size that was not measured: on the line between
   * the measured sizes on either side of it, or the mean of the nearest one when there is only one side.
   * Undefined while nothing was measured.
   */
  meanMs(rows: number): number | undefined {
    const exact = this.#meanOf(rows);
    if (exact !== undefined) return exact;
    let below: number | undefined;
    let above: number | undefined;
    for (const size of this.#bySize.keys()) {
      if (size < rows && (below === undefined || size > below)) below = size;
      if (size > rows && (above === undefined || size < above)) above = size;
    }
    const belowMs = below === undefined ? undefined : this.#meanOf(below);
    const aboveMs = above === undefined ? undefined : this.#meanOf(above);
    if (below === undefined || belowMs === undefined) return aboveMs;
    if (above === undefined || aboveMs === undefined) return belowMs;
    return belowMs + ((aboveMs - belowMs) * (rows - below)) / (above - below);
  }

  #meanOf(rows: number): number | undefined {
    const durations = this.#bySize.get(rows);
    if (durations === undefined) return undefined;
    return durations.reduce((sum, ms) => sum + ms, 0) / durations.length;
  }
}
