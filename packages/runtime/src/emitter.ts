/**
 * Typed events. Packages say what happened; apps attach metrics and logs. A listener that throws
 * cannot break the code that emitted.
 */
export type EventMap = Record<string, unknown>;

export class Emitter<Events extends EventMap> {
  readonly #listeners = new Map<keyof Events, Set<(event: never) => void>>();
  readonly #onListenerError: (cause: unknown) => void;

  constructor(onListenerError: (cause: unknown) => void = reportLater) {
    this.#onListenerError = onListenerError;
  }

  /** Returns the function that removes the listener again. */
  on<Name extends keyof Events>(name: Name, listener: (event: Events[Name]) => void): () => void {
    let set = this.#listeners.get(name);
    if (set === undefined) this.#listeners.set(name, (set = new Set()));
    set.add(listener);
    return () => {
      set.delete(listener);
    };
  }

  emit<Name extends keyof Events>(name: Name, event: Events[Name]): void {
    const set = this.#listeners.get(name);
    if (set === undefined) return;
    for (const listener of set) {
      try {
        (listener as (event: Events[Name]) => void)(event);
      } catch (cause) {
        this.#onListenerError(cause);
      }
    }
  }
}

/** An error in a listener is a bug: it surfaces as an uncaught exception, outside the emitter's stack. */
function reportLater(cause: unknown): void {
  queueMicrotask(() => {
    throw cause;
  });
}
