/**
 * A batch departs when it is full or its oldest request has waited for a fixed time: Triton's
 * dynamic batcher, TensorFlow Serving, Ray Serve. With a delay of 0 it is the greedy first-come queue.
 *
 * Source: triton-inference-server/core, `dynamic_batch_scheduler.cc`: `max_queue_size` refuses at the
 * door; the queue timeout is looked at when a batch is formed, and so refuses late.
 */
import type { Request, World } from '../world.ts';
import { Line } from './line.ts';

export interface FixedDelayOptions {
  readonly delayMs: number;
  /** A request that has waited longer is refused when its turn comes. */
  readonly queueTimeoutMs?: number;
  /** Most requests that wait. */
  readonly waitingMax?: number;
}

const roundingMs = 1e-6;

export class FixedDelay extends Line {
  readonly #options: FixedDelayOptions;
  #cancelTimer: () => void = () => undefined;

  constructor(world: World, options: FixedDelayOptions) {
    super(world);
    this.#options = options;
  }

  arrive(request: Request): void {
    const { waitingMax = Infinity } = this.#options;
    if (this.waiting.length >= waitingMax) {
      this.world.refuse(request);
      return;
    }
    this.enter(request);
    this.dispatch();
  }

  protected dispatch(): void {
    this.#cancelTimer();
    while (this.hasFree) {
      this.#dropLate();
      const oldest = this.waiting.first;
      if (oldest === undefined) return;
      const departsAtMs = oldest.arrivedAtMs + this.#options.delayMs;
      if (this.waiting.length < this.rowsMax && this.nowMs < departsAtMs - roundingMs) {
        this.#cancelTimer = this.world.engine.at(departsAtMs, () => this.dispatch());
        return;
      }
      this.run(this.occupy(), this.waiting.take(this.rowsMax));
    }
  }

  #dropLate(): void {
    const { queueTimeoutMs = Infinity } = this.#options;
    for (;;) {
      const { first } = this.waiting;
      if (first === undefined || this.nowMs - first.arrivedAtMs <= queueTimeoutMs) return;
      this.waiting.shift();
      this.world.refuse(first);
    }
  }
}
