/**
 * Waiting for work of several classes on one blocking connection: BZPOPMIN on the markers BullMQ sets
 * when a job is added, and on one key of this worker's own by which the wait is ended early.
 */
import type { ClassId } from '@inferry/contracts';
import { type Clock, sleep } from '@inferry/runtime';
import type { Redis } from 'ioredis';

const blockS = 5;
/** A reply later than this means that the connection is dead without saying so. */
const overdueMs = (blockS + 2) * 1_000;

export interface WorkSignalDeps {
  readonly clock: Clock;
  readonly connect: () => Redis;
  readonly commands: Redis;
  readonly markerOf: (cls: ClassId) => string;
  readonly wakeKeyOf: (workerId: string) => string;
}

export class WorkSignal {
  readonly #deps: WorkSignalDeps;
  #connection: Redis | undefined;
  /** A blocking call whose caller went away; it ends soon, and a marker it took must not be lost. */
  #pending: Promise<boolean> | undefined;

  constructor(deps: WorkSignalDeps) {
    this.#deps = deps;
  }

  async wait(workerId: string, classes: readonly ClassId[], signal: AbortSignal): Promise<void> {
    if (signal.aborted) return;
    const abort = abortOf(signal);
    try {
      const abandoned = this.#pending;
      if (abandoned !== undefined) {
        const tookMarker = await Promise.race([abandoned, abort.comes]);
        if (tookMarker === undefined) return;
        this.#pending = undefined;
        // The abandoned call took somebody's wake-up: pass it on as ours, the caller claims and finds out.
        if (tookMarker) return;
      }
      const block = this.#block(workerId, classes);
      this.#pending = block;
      const took = await Promise.race([block, abort.comes]);
      if (took !== undefined) this.#pending = undefined;
      else {
        // Ends the blocking call; when Redis is away, the call ends with the connection instead.
        this.#deps.commands.zadd(this.#deps.wakeKeyOf(workerId), 0, '0').catch(() => undefined);
      }
    } finally {
      abort.forget();
    }
  }

  /** True when a marker was taken. */
  async #block(workerId: string, classes: readonly ClassId[]): Promise<boolean> {
    const connection = (this.#connection ??= this.#deps.connect());
    const wakeKey = this.#deps.wakeKeyOf(workerId);
    const cancelWatchdog = this.#deps.clock.after(overdueMs, () => connection.disconnect(true));
    try {
      const reply = await connection.bzpopmin(...classes.map(this.#deps.markerOf), wakeKey, blockS);
      return reply !== null && reply[0] !== wakeKey;
    } catch {
      // The connection broke while blocked: look for work, but not in a tight loop.
      await sleep(this.#deps.clock, 250);
      return true;
    } finally {
      cancelWatchdog();
    }
  }

  close(): void {
    this.#connection?.disconnect();
  }
}

/** `comes` resolves when the signal aborts, unless `forget` was called: it leaves no listener on a signal that lives on. */
function abortOf(signal: AbortSignal): {
  readonly comes: Promise<undefined>;
  readonly forget: () => void;
} {
  let onAbort = (): void => undefined;
  const comes = new Promise<undefined>((resolve) => {
    onAbort = () => resolve(undefined);
  });
  signal.addEventListener('abort', onAbort, { once: true });
  return { comes, forget: () => signal.removeEventListener('abort', onAbort) };
}
