/**
 * When those who were refused for their time may come back. Room comes by the batch: when one has departed,
 * as many as it held are let in, in a moment, and the next one is refused again. So they are told to come
 * back in groups of a batch, each when the next one departs, first those who were refused first. A place is
 * not kept for them, but who is there when there is room is let in.
 */

/** Groups are sent so far ahead; then the next round of them begins. */
const roundMs = 5_000;

/** How a class is served. */
export interface Pace {
  /** What one row takes of the time of all servers, ms. */
  readonly rowMs: number;
  /** Rows of a batch. */
  readonly batchRows: number;
}

export class RetryPace {
  /** The group that is being filled. */
  #groupAtMs = 0;
  #rowsLeft = 0;

  /** From now, ms, at least 1. `lateMs`: by how much the answer to so many rows would have been late. */
  retryAfterMs(lateMs: number, rows: number, { batchRows, rowMs }: Pace, nowMs: number): number {
    const roomAtMs = nowMs + lateMs;
    const batchMs = Math.max(1, batchRows * rowMs);
    // In whole batches from the next room: what was told before may have drifted from it.
    let batches = Math.round((this.#groupAtMs - roomAtMs) / batchMs);
    const isOver = batches < 0 || batches * batchMs > roundMs;
    if (isOver) batches = 0;
    else if (this.#rowsLeft < rows) batches += 1;
    if (isOver || this.#rowsLeft < rows) this.#rowsLeft = batchRows;
    this.#rowsLeft -= rows;
    this.#groupAtMs = roomAtMs + batches * batchMs;
    return Math.max(1, this.#groupAtMs - nowMs);
  }
}
