/**
 * The states of a worker, and the only ways from one to the next.
 *
 * starting  nothing is open. Not ready.
 * warming   models are loaded and warmed. Not ready.
 * serving   claiming jobs. Ready.
 * draining  no new claims; claimed jobs come to their outcome. Not ready, still alive.
 * stopped   nothing in flight, everything closed.
 */
import { invariant } from '@inferry/runtime';

const next = {
  starting: ['warming', 'stopped'],
  warming: ['serving', 'stopped'],
  serving: ['draining'],
  draining: ['stopped'],
  stopped: [],
} as const;

export type WorkerState = keyof typeof next;

export class Lifecycle {
  readonly #onEnter: (state: WorkerState) => void;
  #state: WorkerState = 'starting';

  constructor(onEnter: (state: WorkerState) => void) {
    this.#onEnter = onEnter;
  }

  get state(): WorkerState {
    return this.#state;
  }

  enter(to: WorkerState): void {
    const allowed: readonly WorkerState[] = next[this.#state];
    invariant(allowed.includes(to), `no way leads from ${this.#state} to ${to}`);
    this.#state = to;
    this.#onEnter(to);
  }
}
