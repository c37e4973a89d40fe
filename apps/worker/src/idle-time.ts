/**
 * For how long the device of this process did nothing: the first run after long is slower, and says
 * nothing of the others.
 */
import type { Clock } from '@inferry/runtime';

export class IdleTime {
  readonly #clock: Clock;
  #running = 0;
  #sinceMs: number;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#sinceMs = clock.nowMs();
  }

  /** A run starts; returns how long nothing ran before it, ms. */
  runStarts(): number {
    this.#running += 1;
    return this.#running === 1 ? Math.max(0, this.#clock.nowMs() - this.#sinceMs) : 0;
  }

  runEnds(): void {
    this.#running -= 1;
    this.#sinceMs = this.#clock.nowMs();
  }
}
