/** Something large that is held until it is taken, once: the library keeps the message of a call until its answer. */
import { invariant } from '@inferry/runtime';

export class Arrived<T extends object> {
  #value: T | undefined;

  constructor(value: T) {
    this.#value = value;
  }

  take(): T {
    const value = this.#value;
    invariant(value !== undefined, 'it is taken once');
    this.#value = undefined;
    return value;
  }
}
