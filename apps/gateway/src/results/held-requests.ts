/**
 * Requests that stay open for the outcome of a job. Their number is bounded, and each wait ends by
 * itself: with the outcome, the time, the caller's going away, or the server's drain.
 */
import { type Failure, failure, type JobId, type JobRecord, type Limits } from '@inferry/contracts';
import type { JobQueue } from '@inferry/queue';
import type { Clock } from '@inferry/runtime';

import type { GatewayTelemetry } from '../telemetry.ts';

const retryAfterMs = 1_000;

export type WaitEnd =
  | { readonly end: 'outcome'; readonly record: JobRecord }
  | { readonly end: 'elapsed' | 'disconnected' | 'draining' };

export interface WaitRequest {
  readonly id: JobId;
  readonly waitMs: number;
  /** Aborts when the caller is gone. */
  readonly signal: AbortSignal;
  /** `polite`: answered at once on drain; `needed`: answered when the grace of the drain is over. */
  readonly kind: 'polite' | 'needed';
}

export class HeldRequests {
  readonly #deps: {
    readonly queue: JobQueue;
    readonly clock: Clock;
    readonly limits: Limits;
    readonly telemetry: GatewayTelemetry;
  };
  readonly #waits = new Set<{ readonly kind: WaitRequest['kind']; readonly drain: () => void }>();
  #reserved = 0;
  #drained: ReadonlySet<WaitRequest['kind']> = new Set();

  constructor(deps: {
    readonly queue: JobQueue;
    readonly clock: Clock;
    readonly limits: Limits;
    readonly telemetry: GatewayTelemetry;
  }) {
    this.#deps = deps;
  }

  /** A place is free now. */
  get hasPlace(): boolean {
    return this.#reserved < this.#deps.limits.heldRequestsMax;
  }

  /** A place for one wait, or undefined when all are taken. `release` gives it back, once. */
  reserve(): { readonly release: () => void } | undefined {
    if (!this.hasPlace) return undefined;
    this.#reserved += 1;
    this.#deps.telemetry.held(1);
    let isReleased = false;
    const release = (): void => {
      if (isReleased) return;
      isReleased = true;
      this.#reserved -= 1;
      this.#deps.telemetry.held(-1);
    };
    return { release };
  }

  /** Of a request for which there is no place. */
  refusal(): Failure {
    const { heldRequestsMax } = this.#deps.limits;
    const detail = `This server holds ${heldRequestsMax} open requests already (its limit).`;
    return failure('queue_full', detail, { retryAfterMs });
  }

  async wait({ id, waitMs, signal, kind }: WaitRequest): Promise<WaitEnd> {
    if (signal.aborted) return { end: 'disconnected' };
    if (this.#drained.has(kind)) return { end: 'draining' };
    const stop = new AbortController();
    let end: Exclude<WaitEnd['end'], 'outcome'> = 'elapsed';
    const stopFor = (reason: typeof end) => (): void => {
      if (stop.signal.aborted) return;
      end = reason;
      stop.abort();
    };
    const onDisconnect = stopFor('disconnected');
    const wait = { kind, drain: stopFor('draining') };
    const cancelTimer = this.#deps.clock.after(waitMs, stopFor('elapsed'));
    signal.addEventListener('abort', onDisconnect, { once: true });
    this.#waits.add(wait);
    try {
      const record = await this.#deps.queue.outcome(id, stop.signal);
      return record === undefined ? { end } : { end: 'outcome', record };
    } finally {
      cancelTimer();
      signal.removeEventListener('abort', onDisconnect);
      this.#waits.delete(wait);
    }
  }

  /** Ends all waits of a kind, now and from now on. */
  drain(kind: WaitRequest['kind']): void {
    this.#drained = new Set([...this.#drained, kind]);
    for (const wait of this.#waits) if (wait.kind === kind) wait.drain();
  }
}
