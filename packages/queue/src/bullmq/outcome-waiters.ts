/**
 * Who in this process waits for the end of which job. Outcomes arrive on this process's own channel, one
 * message for each settled batch. Messages can be lost with a connection, so every wait older than a
 * second is checked against the stored outcome once a second, and all of them after a reconnect.
 */
import type { ClassId, JobId, JobRecord } from '@inferry/contracts';
import { type Clock, every } from '@inferry/runtime';
import { decodeRecord } from '../record.ts';

/** Jobs that nobody waits for, not yet or no longer, are remembered for this long. */
const earlyMsMax = 60_000;
const repairBatchMax = 500;

interface Waiter {
  readonly cls: ClassId;
  readonly sinceMs: number;
  readonly listeners: Set<(record: JobRecord | undefined) => void>;
  early: JobRecord | undefined;
  /** The last who waited gave up. The job may still be canceled, and a held one is known here alone. */
  isGivenUp: boolean;
}

export interface OutcomeWaitersDeps {
  readonly clock: Clock;
  /** The stored outcomes of ended jobs, null for the others, in order. */
  readonly fetch: (
    jobs: readonly { readonly cls: ClassId; readonly id: JobId }[],
  ) => Promise<readonly (Uint8Array | null)[]>;
  /** There is news of a job that this process follows. */
  readonly onNews: (id: JobId) => void;
}

/** In place of the length of a body: there is news of the job, and none is sent. */
const newsMark = 0xffff_ffff;

export class OutcomeWaiters {
  readonly #deps: OutcomeWaitersDeps;
  readonly #waiters = new Map<JobId, Waiter>();
  readonly #stop: () => void;

  constructor(deps: OutcomeWaitersDeps) {
    this.#deps = deps;
    this.#stop = every(deps.clock, 1_000, () => this.repair(1_000));
  }

  /** Call before the job can end: an outcome that arrives from now on is kept for {@link wait}. */
  expect(id: JobId, cls: ClassId): void {
    if (this.#waiters.has(id)) return;
    this.#waiters.set(id, {
      cls,
      sinceMs: this.#deps.clock.nowMs(),
      listeners: new Set(),
      early: undefined,
      isGivenUp: false,
    });
  }

  /** Nothing will come of the job here: whoever waits for it is told so. */
  forget(id: JobId): void {
    const waiter = this.#waiters.get(id);
    this.#waiters.delete(id);
    for (const listener of waiter?.listeners ?? []) listener(undefined);
  }

  classOf(id: JobId): ClassId | undefined {
    return this.#waiters.get(id)?.cls;
  }

  /** Resolves with the record, or undefined when `signal` aborts first. Call {@link expect} before. */
  wait(id: JobId, signal: AbortSignal): Promise<JobRecord | undefined> {
    const waiter = this.#waiters.get(id);
    if (waiter === undefined || signal.aborted) return Promise.resolve(undefined);
    if (waiter.early !== undefined) {
      this.#waiters.delete(id);
      return Promise.resolve(waiter.early);
    }
    return new Promise((resolve) => {
      const settle = (record: JobRecord | undefined): void => {
        signal.removeEventListener('abort', onAbort);
        waiter.listeners.delete(settle);
        if (waiter.listeners.size === 0) {
          if (record === undefined) waiter.isGivenUp = true;
          else this.#waiters.delete(id);
        }
        resolve(record);
      };
      const onAbort = (): void => settle(undefined);
      signal.addEventListener('abort', onAbort, { once: true });
      waiter.listeners.add(settle);
      waiter.isGivenUp = false;
    });
  }

  settle(id: JobId, record: JobRecord): void {
    const waiter = this.#waiters.get(id);
    // Whoever waited has gone.
    if (waiter === undefined) return;
    if (waiter.listeners.size === 0) {
      if (waiter.isGivenUp) this.#waiters.delete(id);
      else waiter.early = record;
      return;
    }
    for (const listener of waiter.listeners) listener(record);
  }

  /** A message of the outcome channel: (uint16 id length, id, uint32 body length, body)*; 0 = fetch it, all ones = news. */
  async onMessage(message: Uint8Array): Promise<void> {
    const view = new DataView(message.buffer, message.byteOffset, message.byteLength);
    const decoder = new TextDecoder();
    const toFetch: JobId[] = [];
    let offset = 0;
    while (offset < message.length) {
      const idEnd = offset + 2 + view.getUint16(offset);
      const id = decoder.decode(message.subarray(offset + 2, idEnd)) as JobId;
      const length = view.getUint32(idEnd);
      const bodyEnd = idEnd + 4 + (length === newsMark ? 0 : length);
      if (length === newsMark) this.#deps.onNews(id);
      else if (bodyEnd === idEnd + 4) toFetch.push(id);
      else this.settle(id, decodeRecord(message.slice(idEnd + 4, bodyEnd)));
      offset = bodyEnd;
    }
    await this.#fetchAndSettle(toFetch);
  }

  /** Looks up the stored outcomes of everything that has waited for at least `olderThanMs`. */
  async repair(olderThanMs: number): Promise<void> {
    const nowMs = this.#deps.clock.nowMs();
    const late: JobId[] = [];
    for (const [id, waiter] of this.#waiters) {
      const ageMs = nowMs - waiter.sinceMs;
      if (waiter.listeners.size === 0 && ageMs > earlyMsMax) this.#waiters.delete(id);
      else if (ageMs >= olderThanMs && waiter.early === undefined && !waiter.isGivenUp)
        late.push(id);
    }
    for (let i = 0; i < late.length; i += repairBatchMax) {
      await this.#fetchAndSettle(late.slice(i, i + repairBatchMax));
    }
  }

  async #fetchAndSettle(ids: readonly JobId[]): Promise<void> {
    const jobs = ids.flatMap((id) => {
      const cls = this.classOf(id);
      return cls === undefined ? [] : [{ id, cls }];
    });
    if (jobs.length === 0) return;
    try {
      const bodies = await this.#deps.fetch(jobs);
      jobs.forEach(({ id }, i) => {
        const body = bodies[i];
        if (body !== null && body !== undefined) this.settle(id, decodeRecord(body));
      });
    } catch {
      // Redis is away: the next repair, a second from now, tries again.
    }
  }

  close(): void {
    this.#stop();
    for (const waiter of this.#waiters.values()) {
      for (const listener of waiter.listeners) listener(undefined);
    }
    this.#waiters.clear();
  }
}
