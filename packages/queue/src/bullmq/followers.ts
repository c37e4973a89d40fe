/**
 * Who in this process follows which job. Woken by a message on the process's own channel, by a reconnect, and
 * once a second: a message can be lost, and places in the line change without one.
 */
import type { JobId } from '@inferry/contracts';
import { type Clock, every } from '@inferry/runtime';

const lookMs = 1_000;

export class Followers {
  readonly #wakes = new Map<JobId, Set<() => void>>();
  readonly #stop: () => void;

  constructor(clock: Clock) {
    this.#stop = every(clock, lookMs, () => this.wakeAll());
  }

  /** Until the returned function is called. */
  add(id: JobId, wake: () => void): () => void {
    const wakes = this.#wakes.get(id) ?? new Set();
    this.#wakes.set(id, wakes.add(wake));
    return () => {
      wakes.delete(wake);
      if (wakes.size === 0 && this.#wakes.get(id) === wakes) this.#wakes.delete(id);
    };
  }

  wake(id: JobId): void {
    for (const wake of this.#wakes.get(id) ?? []) wake();
  }

  wakeAll(): void {
    for (const id of this.#wakes.keys()) this.wake(id);
  }

  close(): void {
    this.#stop();
    this.#wakes.clear();
  }
}
