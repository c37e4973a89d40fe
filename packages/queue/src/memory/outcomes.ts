/** The outcomes of ended jobs, for as long as they are kept, within a bound of bytes. */
import type { JobId, JobRecord } from '@inferry/contracts';
import type { Clock } from '@inferry/runtime';
import { outcomeBytes } from './job.ts';

export interface OutcomesDeps {
  readonly clock: Clock;
  readonly bytesMax: number;
  readonly onForgotten: (id: JobId, reason: 'expired' | 'deleted') => void;
}

export class Outcomes {
  readonly #deps: OutcomesDeps;
  readonly #kept = new Map<JobId, { readonly record: JobRecord; readonly bytes: number }>();
  #bytes = 0;

  constructor(deps: OutcomesDeps) {
    this.#deps = deps;
  }

  get bytes(): number {
    return this.#bytes;
  }

  has(id: JobId): boolean {
    return this.#kept.has(id);
  }

  get(id: JobId): JobRecord | undefined {
    const record = this.#kept.get(id)?.record;
    if (record === undefined || (record.expiresAtMs ?? Infinity) > this.#deps.clock.nowMs()) {
      return record;
    }
    this.forget(id, 'expired');
    return undefined;
  }

  /** Beyond the bound the oldest go first. `partialBytes`: of its partial outputs, which go with it. */
  keep(record: JobRecord, partialBytes: number): void {
    const bytes = partialBytes + (record.outcome === null ? 0 : outcomeBytes(record.outcome));
    this.#kept.set(record.job.id, { record, bytes });
    this.#bytes += bytes;
    for (const id of this.#kept.keys()) {
      if (this.#bytes <= this.#deps.bytesMax) break;
      this.forget(id, 'expired');
    }
  }

  /** Lets go of what nobody asked for in its time. */
  expire(): void {
    const nowMs = this.#deps.clock.nowMs();
    for (const [id, { record }] of this.#kept) {
      if ((record.expiresAtMs ?? 0) <= nowMs) this.forget(id, 'expired');
    }
  }

  forget(id: JobId, reason: 'expired' | 'deleted'): void {
    this.#bytes -= this.#kept.get(id)?.bytes ?? 0;
    this.#kept.delete(id);
    this.#deps.onForgotten(id, reason);
  }
}
