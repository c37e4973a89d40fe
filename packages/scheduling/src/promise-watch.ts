/**
 * Watches whether answers come within the budgets they were accepted with, and says how much more careful
 * estimates have to be. Careful soon, trusting again slowly; like CoDel it judges by whole windows and not by one answer,
 * and unlike CoDel nothing that waits is dropped: only new promises change.
 *
 * Source: Nichols, Jacobson, "Controlling Queue Delay" (ACM Queue, 2012), for the window.
 */

/** So many of the promises of a window may be missed. */
const missedShareMax = 0.01;
const tighten = 1.1;
const relax = 0.98;
const factorMax = 3;

export class PromiseWatch {
  #factor = 1;
  #answers = 0;
  #missed = 0;

  /** To be told of every answer that had a budget: how much later it came, ms; negative when in time. */
  observe(errorMs: number): void {
    this.#answers += 1;
    if (errorMs > 0) this.#missed += 1;
  }

  /** Ends a window: to be called once a second. One without a promise counts as a good one. */
  tick(): void {
    const isLate = this.#missed > missedShareMax * this.#answers;
    const wanted = this.#factor * (isLate ? tighten : relax);
    this.#factor = Math.min(Math.max(wanted, 1), factorMax);
    this.#answers = 0;
    this.#missed = 0;
  }

  /** By what to multiply the tail of runs in promises, 1..3. */
  get factor(): number {
    return this.#factor;
  }
}
