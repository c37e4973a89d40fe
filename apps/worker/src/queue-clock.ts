/**
 * The queue's clock, as seen from here. Each claim shows the queue's time somewhere between its sending
 * and its reply; the sample with the shortest round trip of the last half minute is the best estimate.
 */
import type { Clock } from '@inferry/runtime';

const sampleMsMax = 30_000;

export class QueueClock {
  readonly #clock: Clock;
  #best: {
    readonly offsetMs: number;
    readonly roundTripMs: number;
    readonly atMs: number;
  } | null = null;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** `queueNowMs` was read by the queue between the local instants `sentAtMs` and now. */
  sample(sentAtMs: number, queueNowMs: number): void {
    const nowMs = this.#clock.nowMs();
    const roundTripMs = nowMs - sentAtMs;
    const best = this.#best;
    const isStale = best === null || nowMs - best.atMs > sampleMsMax;
    if (!isStale && roundTripMs > best.roundTripMs) return;
    const offsetMs = queueNowMs - (sentAtMs + roundTripMs / 2);
    this.#best = { offsetMs, roundTripMs, atMs: nowMs };
  }

  /** The queue's clock minus ours in ms; 0 before the first sample. */
  get offsetMs(): number {
    return this.#best?.offsetMs ?? 0;
  }

  /** The local instant of an instant of the queue. */
  toLocalMs(queueMs: number): number {
    return queueMs - this.offsetMs;
  }

  /** The queue's instant of a local instant. */
  toQueueMs(localMs: number): number {
    return localMs + this.offsetMs;
  }
}
