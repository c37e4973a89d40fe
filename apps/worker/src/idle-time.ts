/**
 * For how long the device of this process did nothing: the first run after long is slower, and says
 * nothing of the others.
 */
import type { Clock } from '@inferry/runtime';

export class IdleTime {
  readonly #clock: Clock;
  #running = 0;
  #sinceMs: number;
  /** The rest before the runs in progress, while none of them has ended. */
  #restedMs = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#sinceMs = clock.nowMs();
  }

  /** A run starts; returns how long nothing ran before it, ms. Those that start beside it are as cold. */
  runStarts(): number {
    if (this.#running === 0) this.#restedMs = Math.max(0, this.#clock.nowMs() - this.#sinceMs);
    this.#running += 1;
    return this.#restedMs;
  }

  runEnds(): void {
    this.#running -= 1;
    this.#restedMs = 0;
    this.#sinceMs = this.#clock.nowMs();
  }
}
