/**
 * One wait for work on behalf of all idle lanes: a worker has one blocking connection, whatever the
 * number of its classes. The wait is started anew when a lane becomes idle or leaves.
 */
import type { ClassId } from '@inferry/contracts';
import type { JobQueue } from '@inferry/queue';
import { type Clock, sleep } from '@inferry/runtime';

const retryMs = 1_000;

export interface WakeDeps {
  readonly queue: Pick<JobQueue, 'awaitWork'>;
  readonly workerId: string;
  readonly clock: Clock;
}

export class Wake {
  readonly #deps: WakeDeps;
  readonly #idle = new Map<ClassId, () => void>();
  #round = new AbortController();
  #isWaiting = false;

  constructor(deps: WakeDeps) {
    this.#deps = deps;
  }

  /** Resolves when the class may have work, at the latest after some seconds, or when `signal` aborts. */
  wait(cls: ClassId, signal: AbortSignal): Promise<void> {
    if (signal.aborted) return Promise.resolve();
    return new Promise((resolve) => {
      const done = (): void => {
        signal.removeEventListener('abort', leave);
        this.#idle.delete(cls);
        resolve();
      };
      const leave = (): void => {
        done();
        this.#round.abort();
      };
      signal.addEventListener('abort', leave, { once: true });
      this.#idle.set(cls, done);
      this.#round.abort();
      if (!this.#isWaiting) void this.#waitForWork();
    });
  }

  async #waitForWork(): Promise<void> {
    this.#isWaiting = true;
    // Lanes that become idle in the same turn share the first round.
    await Promise.resolve();
    while (this.#idle.size > 0) {
      const round = new AbortController();
      this.#round = round;
      const classes = [...this.#idle.keys()];
      try {
        await this.#deps.queue.awaitWork(this.#deps.workerId, classes, round.signal);
      } catch {
        // The queue is away. Lanes notice it themselves when they claim, and say so.
        await sleep(this.#deps.clock, retryMs, round.signal);
      }
      if (round.signal.aborted) continue;
      for (const cls of classes) this.#idle.get(cls)?.();
    }
    this.#isWaiting = false;
  }
}
