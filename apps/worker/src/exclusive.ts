/**
 * Who may have work in this process: many ordinary batches (shared), or one suspect batch alone
 * (exclusive), so that a job that takes the process with it takes nobody else. First come, first
 * served: one who waits for the exclusive side holds off those who come later.
 */

/** Calling it more than once does nothing. */
export type Release = () => void;

interface Waiter {
  readonly isExclusive: boolean;
  readonly admit: () => void;
}

export class ExclusiveGate {
  #shared = 0;
  #hasExclusive = false;
  #waiting: Waiter[] = [];

  /** Resolves once no exclusive holder is inside; undefined when `signal` aborts first. */
  shared(signal: AbortSignal): Promise<Release | undefined> {
    return this.#enter(false, signal);
  }

  /** Resolves once nobody else is inside; undefined when `signal` aborts first. */
  exclusive(signal: AbortSignal): Promise<Release | undefined> {
    return this.#enter(true, signal);
  }

  #enter(isExclusive: boolean, signal: AbortSignal): Promise<Release | undefined> {
    if (signal.aborted) return Promise.resolve(undefined);
    return new Promise((resolve) => {
      const leave = (): void => {
        this.#waiting = this.#waiting.filter((other) => other !== waiter);
        resolve(undefined);
        this.#admit();
      };
      const waiter: Waiter = {
        isExclusive,
        admit: () => {
          signal.removeEventListener('abort', leave);
          resolve(this.#hold(isExclusive));
        },
      };
      signal.addEventListener('abort', leave, { once: true });
      this.#waiting.push(waiter);
      this.#admit();
    });
  }

  #hold(isExclusive: boolean): Release {
    if (isExclusive) this.#hasExclusive = true;
    else this.#shared += 1;
    let isReleased = false;
    return () => {
      if (isReleased) return;
      isReleased = true;
      if (isExclusive) this.#hasExclusive = false;
      else this.#shared -= 1;
      this.#admit();
    };
  }

  #admit(): void {
    for (;;) {
      const first = this.#waiting[0];
      const isFree = first?.isExclusive === true ? this.#shared === 0 : true;
      if (first === undefined || this.#hasExclusive || !isFree) return;
      this.#waiting.shift();
      first.admit();
    }
  }
}
