/** Work that is done a few at a time, in order of arrival; what comes when too many wait is not done. */
export class Turns {
  readonly #together: number;
  readonly #waiting: (() => void)[] = [];
  #busy = 0;

  /** So many at a time. */
  constructor(together: number) {
    this.#together = together;
  }

  /** What `work` gives, in its turn; undefined where `waitingMax` wait already. */
  async take<T>(waitingMax: number, work: () => Promise<T>): Promise<T | undefined> {
    if (this.#busy === this.#together) {
      if (this.#waiting.length >= waitingMax) return undefined;
      // The turn is handed over: whoever comes meanwhile does not get it.
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    } else {
      this.#busy += 1;
    }
    try {
      return await work();
    } finally {
      const next = this.#waiting.shift();
      if (next === undefined) this.#busy -= 1;
      else next();
    }
  }
}
