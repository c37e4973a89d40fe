/** How often rows of a class arrive. */

/** The newest arrival counts for so much of the mean. */
const gain = 1 / 32;
/** A pause tells no more than this: after a quiet night the mean is soon that of the morning. */
const apartMsMax = 10_000;

export class Arrivals {
  #lastAtMs: number | null = null;
  #rowEveryMs = 0;

  get lastAtMs(): number | null {
    return this.#lastAtMs;
  }

  /** Mean time between two rows, ms; null before the second arrival. */
  get rowEveryMs(): number | null {
    return this.#rowEveryMs === 0 ? null : this.#rowEveryMs;
  }

  note(atMs: number, rows: number): void {
    if (this.#lastAtMs !== null) {
      const apartMs = Math.min(atMs - this.#lastAtMs, apartMsMax) / rows;
      if (this.#rowEveryMs === 0) this.#rowEveryMs = apartMs;
      else this.#rowEveryMs += gain * (apartMs - this.#rowEveryMs);
    }
    this.#lastAtMs = atMs;
  }
}
