/**
 * A batch departs when it is full or at the latest instant at which its oldest request still meets the
 * target: fewest runs, highest latency. Source: Symphony (arXiv 2308.07470), without its frontrun window.
 */
import type { Request, World } from '../world.ts';
import { Line } from './line.ts';

/** Runs vary: it leaves so much more than the expected run. */
const tailFactor = 1.1;

export class Deferred extends Line {
  readonly #targetMs: number;
  #cancelTimer: () => void = () => undefined;

  constructor(world: World, targetMs: number) {
    super(world);
    this.#targetMs = targetMs;
  }

  arrive(request: Request): void {
    this.enter(request);
    this.dispatch();
  }

  protected dispatch(): void {
    this.#cancelTimer();
    while (this.hasFree) {
      const oldest = this.waiting.first;
      if (oldest === undefined) return;
      const rows = Math.min(this.waiting.length + 1, this.rowsMax);
      const leadMs = this.world.meanRunMs(rows) * tailFactor + 2 * this.world.options.networkMs;
      const departsAtMs = oldest.arrivedAtMs + this.#targetMs - leadMs;
      if (this.waiting.length < this.rowsMax && this.nowMs < departsAtMs) {
        this.#cancelTimer = this.world.engine.at(departsAtMs, () => this.dispatch());
        return;
      }
      this.run(this.occupy(), this.waiting.take(this.rowsMax));
    }
  }
}
