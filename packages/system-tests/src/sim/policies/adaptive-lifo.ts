/**
 * Adaptive LIFO with CoDel's timeouts: while the line has been empty of late, first come first served;
 * when it has not, newest first, and those who waited are dropped.
 *
 * Source: Maurer, "Fail at Scale" (ACM Queue 2015), with N = 1 s and M = 300 ms for work of this length.
 */
import type { Request } from '../world.ts';
import { Line } from './line.ts';

/** No empty line for so long means overload. */
const overloadMs = 1_000;
/** How long a request may wait, by the state in which it came. */
const patienceMs = { calm: 1_000, overloaded: 300 };

export class AdaptiveLifo extends Line {
  readonly #patience = new WeakMap<Request, number>();
  #emptyAtMs = 0;

  arrive(request: Request): void {
    if (this.waiting.length === 0) this.#emptyAtMs = this.nowMs;
    const { calm, overloaded } = patienceMs;
    this.#patience.set(request, this.#isOverloaded ? overloaded : calm);
    this.enter(request);
    this.dispatch();
  }

  get #isOverloaded(): boolean {
    return this.nowMs - this.#emptyAtMs > overloadMs;
  }

  protected dispatch(): void {
    while (this.hasFree && this.waiting.length > 0) {
      const batch = this.#form();
      if (this.waiting.length === 0) this.#emptyAtMs = this.nowMs;
      if (batch.length > 0) this.run(this.occupy(), batch);
    }
  }

  #form(): readonly Request[] {
    const batch: Request[] = [];
    while (batch.length < this.rowsMax) {
      const request = this.#isOverloaded ? this.waiting.pop() : this.waiting.shift();
      if (request === undefined) break;
      if (this.#isLate(request)) this.world.refuse(request);
      else batch.push(request);
    }
    for (;;) {
      const { first } = this.waiting;
      if (first === undefined || !this.#isLate(first)) return batch;
      this.waiting.shift();
      this.world.refuse(first);
    }
  }

  #isLate(request: Request): boolean {
    return this.nowMs - request.arrivedAtMs > (this.#patience.get(request) ?? patienceMs.calm);
  }
}
