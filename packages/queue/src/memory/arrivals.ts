/** How many rows of a class or of a flow arrive, and how often. In whole microseconds, as the durable queue counts. */

/** The newest arrival counts for so much of the mean. */
const gain = 1 / 32;
/** A pause tells no more than this: after a quiet night the mean is soon that of the morning. */
const apartUsMax = 10_000_000;

export class Arrivals {
  #lastAtUs: number | null = null;
  #rowEveryUs = 0;
  #rows = 0;

  /** All that arrived so far. */
  get rows(): number {
    return this.#rows;
  }

  get lastAtMs(): number | null {
    return this.#lastAtUs === null ? null : this.#lastAtUs / 1_000;
  }

  /** Mean time between two rows, ms; null before the second arrival. */
  get rowEveryMs(): number | null {
    return this.#rowEveryUs === 0 ? null : this.#rowEveryUs / 1_000;
  }

  note(atMs: number, rows: number): void {
    const atUs = Math.round(atMs * 1_000);
    if (this.#lastAtUs !== null) {
      const apartUs = Math.min(atUs - this.#lastAtUs, apartUsMax) / rows;
      if (this.#rowEveryUs === 0) this.#rowEveryUs = Math.ceil(apartUs);
      else this.#rowEveryUs += Math.floor(gain * (apartUs - this.#rowEveryUs) + 0.5);
    }
    this.#lastAtUs = atUs;
    this.#rows += rows;
  }
}
