/**
 * Goodput first: the batch is as large as can be, and whoever would miss the deadline in it is dropped.
 * The oldest are the ones dropped, after they have waited.
 *
 * Source: the sliding window of Nexus (uwsampl/nexus, `GetBatchTaskSlidingWindow`); Clockwork's
 * controller skips elders in the same way. It is given the exact profile of the device.
 */
import type { Request, World } from '../world.ts';
import { Line } from './line.ts';

export class EarlyDrop extends Line {
  readonly #targetMs: number;

  constructor(world: World, targetMs: number) {
    super(world);
    this.#targetMs = targetMs;
  }

  arrive(request: Request): void {
    this.enter(request);
    this.dispatch();
  }

  protected dispatch(): void {
    while (this.hasFree && this.waiting.length > 0) {
      const batch = this.#form();
      if (batch.length > 0) this.run(this.occupy(), batch);
    }
  }

  #form(): readonly Request[] {
    const batch: Request[] = [];
    let rows = Math.min(this.rowsMax, this.waiting.length);
    while (batch.length < rows) {
      const request = this.waiting.shift();
      if (request === undefined) break;
      const answeredAtMs =
        this.nowMs + this.world.meanRunMs(rows) + 2 * this.world.options.networkMs;
      if (request.sentAtMs + this.#targetMs < answeredAtMs) this.world.refuse(request);
      else batch.push(request);
      rows = Math.min(rows, batch.length + this.waiting.length);
    }
    return batch;
  }
}
