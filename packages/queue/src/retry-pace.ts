/**
 * When those who were refused for their time may come back. All of them at the same instant would only be
 * refused again: each is told a turn later than the one before, as far apart as the class serves them. A
 * place is not kept for them; whoever is there when there is room is let in.
 */

/** Turns are given out so far ahead; then the next round of them begins. */
const roundMs = 5_000;

export class RetryPace {
  #nextAtMs = 0;

  /**
   * From now, ms, at least 1. `lateMs`: by how much the answer would have been late. `turnMs`: what serving
   * the request takes of the time of all servers.
   */
  retryAfterMs(lateMs: number, turnMs: number, nowMs: number): number {
    const earliestMs = nowMs + lateMs;
    const isInRound = this.#nextAtMs <= earliestMs + roundMs;
    const atMs = isInRound ? Math.max(earliestMs, this.#nextAtMs) : earliestMs;
    this.#nextAtMs = atMs + turnMs;
    return Math.max(1, atMs - nowMs);
  }
}
