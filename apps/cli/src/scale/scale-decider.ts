/**
 * When workers are started and drained, given how many are wanted. Up at once, in steps; down only to the
 * most that were wanted in a while, and to none only after a longer rest. Gets the time as an argument.
 */
import { invariant } from '@inferry/runtime';

export interface DeciderOptions {
  readonly min: number;
  readonly max: number;
  readonly stabilizationMs: number;
  readonly cooldownMs: number;
}

export interface Look {
  readonly nowMs: number;
  /** Workers wanted now, within `min` and `max`. */
  readonly wanted: number;
  /** Something waits, runs or arrives. */
  readonly isActive: boolean;
  /** Workers that are not draining. */
  readonly workers: number;
  readonly draining: number;
}

/** Why the target is what it is. `full`: those that drain have to end first. */
type Cause = 'wanted' | 'step' | 'full' | 'stabilization' | 'cooldown' | 'steady';

export interface Decision {
  /** Workers to have, without those that drain. */
  readonly target: number;
  readonly cause: Cause;
}

/** As many at once as there are, and never fewer than this. */
const stepMin = 2;

export class ScaleDecider {
  readonly #options: DeciderOptions;
  /** What was wanted in the stabilisation window, where nothing later was as high: falling, in order of time. */
  #wanted: { readonly atMs: number; readonly workers: number }[] = [];
  #activeAtMs: number;

  constructor(options: DeciderOptions, nowMs: number) {
    invariant(options.min >= 0 && options.max >= options.min, 'min is at most max');
    this.#options = options;
    this.#activeAtMs = nowMs;
  }

  decide(look: Look): Decision {
    const { min, max } = this.#options;
    const { nowMs, wanted, workers } = look;
    invariant(wanted >= min && wanted <= max, 'what is wanted is within the bounds');
    if (look.isActive) this.#activeAtMs = nowMs;
    this.#note(nowMs, wanted);
    return wanted > workers ? this.#up(look) : this.#down(nowMs, wanted, workers);
  }

  /**
   * The queue did not tell: nothing is known, so nothing is drained until a whole window (and cooldown) has
   * been seen anew.
   */
  missed(nowMs: number, workers: number): void {
    this.#activeAtMs = nowMs;
    this.#note(nowMs, workers);
  }

  #up({ wanted, workers, draining }: Look): Decision {
    const step = workers + Math.max(workers, stepMin);
    // Never more processes than `max`: what drains still has its memory.
    const room = Math.max(workers, this.#options.max - draining);
    const target = Math.min(wanted, step, room);
    return { target, cause: target === wanted ? 'wanted' : target === room ? 'full' : 'step' };
  }

  #down(nowMs: number, wanted: number, workers: number): Decision {
    const highest = this.#wanted[0]?.workers ?? workers;
    const stable = Math.min(workers, highest);
    const isRested = nowMs - this.#activeAtMs >= this.#options.cooldownMs;
    const target = stable === 0 && !isRested ? Math.min(workers, 1) : stable;
    if (wanted === workers) return { target, cause: 'steady' };
    if (target > stable) return { target, cause: 'cooldown' };
    return { target, cause: target > wanted ? 'stabilization' : 'wanted' };
  }

  #note(nowMs: number, workers: number): void {
    const sinceMs = nowMs - this.#options.stabilizationMs;
    this.#wanted = this.#wanted.filter((one) => one.atMs >= sinceMs && one.workers > workers);
    this.#wanted.push({ atMs: nowMs, workers });
  }
}
