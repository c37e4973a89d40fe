/** Values that one gives and another takes, one at a time: who gives waits until his is taken. */
export class Handover<T> {
  #given: { readonly value: T; readonly taken: () => void } | undefined;
  #isClosed = false;
  #changed: () => void = () => undefined;

  /** Resolves when the value was taken, or nobody takes any more. */
  give(value: T): Promise<void> {
    if (this.#isClosed) return Promise.resolve();
    return new Promise((resolve) => {
      this.#given = { value, taken: resolve };
      this.#changed();
    });
  }

  /** The next value, or undefined when there is none any more. */
  async take(): Promise<T | undefined> {
    if (this.#given === undefined && !this.#isClosed) {
      await new Promise<void>((resolve) => {
        this.#changed = resolve;
      });
    }
    const given = this.#given;
    this.#given = undefined;
    given?.taken();
    return given?.value;
  }

  /** Nothing more is given, or taken. */
  close(): void {
    this.#isClosed = true;
    this.#given?.taken();
    this.#changed();
  }
}
