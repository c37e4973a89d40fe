/**
 * The queue in this process's memory: for `inferry serve` without Redis, for tests and simulation. It
 * keeps the same promises as the durable one, except that nothing survives the process.
 */
import {
  type ClassId,
  type ControlOrder,
  defaultLimits,
  type Estimate,
  isTerminal,
  type JobEnvelope,
  type JobId,
  type JobRecord,
  joinPieces,
  type ServiceProfile,
  type WorkerAnnouncement,
} from '@inferry/contracts';
import { type Clock, Emitter, ok, type Result } from '@inferry/runtime';
import type {
  Claim,
  Claimed,
  ClaimRequest,
  Enqueued,
  EnqueueRefusal,
  EnqueueTerms,
  JobOutline,
  JobQueue,
  Lookup,
  Payload,
  QueueEvents,
  Settled,
  Settlement,
  Unavailable,
} from '../port.ts';
import type { PartialLimits } from '../partials.ts';
import type { ClassStats, FlowStats, SweepReport, QueueCheck } from '../reports.ts';
import type { QueueRules } from '../rules.ts';
import { addUp, checkStatistics, type ClassStatistics, noStatistics } from '../statistics.ts';
import { ClassQueue } from './class-queue.ts';
import { MemoryKeys } from './memory-keys.ts';
import { MemoryOrders } from './memory-orders.ts';
import { MemoryPartials } from './memory-partials.ts';

export interface MemoryQueueOptions extends PartialLimits {
  readonly clock: Clock;
  readonly rules: QueueRules;
  readonly leaseMs: number;
  readonly resultBytesPerClassMax: number;
  readonly tombstoneMs: number;
}

interface Tombstone {
  readonly reason: 'expired' | 'deleted';
  readonly untilMs: number;
}

const wakeMsMax = 5_000;
const profileMs = 30 * 24 * 3_600_000;

export function createMemoryQueue(
  options: Pick<MemoryQueueOptions, 'clock' | 'rules'> & Partial<MemoryQueueOptions>,
): JobQueue {
  return new MemoryQueue({
    leaseMs: defaultLimits.leaseMs,
    resultBytesPerClassMax: defaultLimits.resultBytesPerClassMax,
    tombstoneMs: defaultLimits.tombstoneMs,
    partialsPerJobMax: defaultLimits.partialsPerJobMax,
    partialBytesPerJobMax: defaultLimits.partialBytesPerJobMax,
    ...options,
  });
}

class MemoryQueue implements JobQueue {
  readonly kind = 'memory';
  readonly events = new Emitter<QueueEvents>();
  readonly keys: MemoryKeys;
  readonly partials: MemoryPartials;
  readonly #options: MemoryQueueOptions;
  readonly #classes = new Map<ClassId, ClassQueue>();
  readonly #classOfJob = new Map<JobId, ClassId>();
  readonly #tombstones = new Map<JobId, Tombstone>();
  readonly #endListeners = new Map<JobId, Set<(record: JobRecord | undefined) => void>>();
  readonly #wakeListeners = new Set<{
    readonly classes: ReadonlySet<ClassId>;
    readonly wake: () => void;
  }>();
  readonly #workers = new Map<
    string,
    { readonly worker: WorkerAnnouncement; readonly untilMs: number }
  >();
  readonly #statistics = new Map<ClassId, ClassStatistics>();
  readonly #orders: MemoryOrders;
  readonly #profiles = new Map<string, { readonly text: string; readonly untilMs: number }>();

  constructor(options: MemoryQueueOptions) {
    this.#options = options;
    this.keys = new MemoryKeys(options.clock);
    this.#orders = new MemoryOrders(options.clock);
    this.partials = new MemoryPartials({
      clock: options.clock,
      limits: options,
      holds: (cls, claim) => this.#class(cls).holds(claim),
      find: (cls, id) => this.#class(cls).find(id),
    });
  }

  // ---- gateway side -------------------------------------------------------------------------------

  enqueue(
    job: JobEnvelope,
    payload: Payload,
    terms: EnqueueTerms,
  ): Promise<Result<Enqueued, EnqueueRefusal>> {
    // A copy: the caller may use the memory again.
    const bytes = joinPieces(payload instanceof Uint8Array ? [payload] : payload);
    const enqueued = this.#class(job.class).enqueue(job, bytes, terms);
    if (enqueued.ok) this.#classOfJob.set(job.id, job.class);
    return Promise.resolve(enqueued);
  }

  quote(job: JobOutline, terms: EnqueueTerms): Promise<Result<Estimate | null, EnqueueRefusal>> {
    return Promise.resolve(this.#class(job.class).quote(job, terms));
  }

  find(id: JobId): Promise<Result<Lookup, Unavailable>> {
    return Promise.resolve(ok(this.#find(id)));
  }

  #find(id: JobId): Lookup {
    const cls = this.#classOf(id);
    const wasLive = cls?.isLive(id) === true;
    const record = cls?.find(id);
    if (record !== undefined) {
      const endedNow = wasLive && isTerminal(record.status);
      return { found: 'record', record, ...(endedNow ? { endedNow } : {}) };
    }
    const tombstone = this.#tombstones.get(id);
    if (tombstone === undefined || tombstone.untilMs <= this.#nowMs()) return { found: 'never' };
    return { found: 'gone', reason: tombstone.reason };
  }

  outcome(id: JobId, signal: AbortSignal): Promise<JobRecord | undefined> {
    const cls = this.#classOf(id);
    const ended = cls?.ended(id);
    if (signal.aborted || ended !== undefined || cls?.isLive(id) !== true) {
      return Promise.resolve(signal.aborted ? undefined : ended);
    }
    return new Promise((resolve) => {
      const listeners = this.#endListeners.get(id) ?? new Set();
      this.#endListeners.set(id, listeners);
      const settle = (record: JobRecord | undefined): void => {
        signal.removeEventListener('abort', onAbort);
        listeners.delete(settle);
        if (listeners.size === 0) this.#endListeners.delete(id);
        resolve(record);
      };
      const onAbort = (): void => settle(undefined);
      signal.addEventListener('abort', onAbort, { once: true });
      listeners.add(settle);
    });
  }

  cancel(id: JobId, detail: string): Promise<Result<Lookup, Unavailable>> {
    const cls = this.#classOf(id);
    const wasLive = cls?.isLive(id) === true;
    cls?.cancel(id, detail);
    const found = this.#find(id);
    const endedNow = wasLive && found.found === 'record';
    return Promise.resolve(ok(endedNow ? { ...found, endedNow } : found));
  }

  erase(id: JobId): Promise<Result<'erased' | 'live' | 'gone' | 'never', Unavailable>> {
    const lookup = this.#find(id);
    if (lookup.found !== 'record') return Promise.resolve(ok(lookup.found));
    return Promise.resolve(ok(this.#class(lookup.record.job.class).erase(id)));
  }

  // ---- worker side --------------------------------------------------------------------------------

  claim(cls: ClassId, request: ClaimRequest): Promise<Claimed> {
    return Promise.resolve(this.#class(cls).claim(request));
  }

  awaitWork(_workerId: string, classes: readonly ClassId[], signal: AbortSignal): Promise<void> {
    const hasWork = classes.some((cls) => this.#class(cls).hasWork);
    if (signal.aborted || hasWork) return Promise.resolve();
    return new Promise((resolve) => {
      const wake = (): void => {
        cancel();
        signal.removeEventListener('abort', wake);
        this.#wakeListeners.delete(listener);
        resolve();
      };
      const listener = { classes: new Set(classes), wake };
      const cancel = this.#options.clock.after(wakeMsMax, wake);
      signal.addEventListener('abort', wake, { once: true });
      this.#wakeListeners.add(listener);
    });
  }

  renew(_workerId: string, cls: ClassId, claims: readonly Claim[]): Promise<readonly Claim[]> {
    return Promise.resolve(this.#class(cls).renew(claims));
  }

  settle(cls: ClassId, settlements: readonly Settlement[]): Promise<readonly Settled[]> {
    return Promise.resolve(this.#class(cls).settle(settlements));
  }

  giveBack(cls: ClassId, claims: readonly Claim[], asSuspects: boolean): Promise<void> {
    this.#class(cls).giveBack(claims, asSuspects);
    return Promise.resolve();
  }

  offer(workerId: string, cls: ClassId, profile: ServiceProfile | null): Promise<void> {
    this.#class(cls).offer(workerId, profile);
    return Promise.resolve();
  }

  sweep(cls: ClassId): Promise<SweepReport> {
    for (const [id, { untilMs }] of this.#tombstones) {
      if (untilMs > this.#nowMs()) break;
      this.#tombstones.delete(id);
    }
    return Promise.resolve(this.#class(cls).sweep());
  }

  stats(classes: readonly ClassId[]): Promise<readonly ClassStats[]> {
    return Promise.resolve(classes.map((cls) => this.#class(cls).stats()));
  }

  flows(classes: readonly ClassId[]): Promise<readonly (readonly FlowStats[])[]> {
    return Promise.resolve(classes.map((cls) => this.#class(cls).flows()));
  }

  // ---- registry -----------------------------------------------------------------------------------

  announce(worker: WorkerAnnouncement): Promise<void> {
    const untilMs = this.#nowMs() + this.#options.leaseMs;
    this.#workers.set(worker.workerId, { worker, untilMs });
    return Promise.resolve();
  }

  retract(workerId: string): Promise<void> {
    this.#workers.delete(workerId);
    return Promise.resolve();
  }

  workers(): Promise<readonly WorkerAnnouncement[]> {
    for (const [id, { untilMs }] of this.#workers) {
      if (untilMs <= this.#nowMs()) this.#workers.delete(id);
    }
    return Promise.resolve([...this.#workers.values()].map(({ worker }) => worker));
  }

  loadProfile(key: string): Promise<string | null> {
    const profile = this.#profiles.get(key);
    const isKept = profile !== undefined && profile.untilMs > this.#nowMs();
    return Promise.resolve(isKept ? profile.text : null);
  }

  saveProfile(key: string, text: string): Promise<void> {
    for (const [old, { untilMs }] of this.#profiles) {
      if (untilMs <= this.#nowMs()) this.#profiles.delete(old);
    }
    this.#profiles.set(key, { text, untilMs: this.#nowMs() + profileMs });
    return Promise.resolve();
  }

  order(wanted: Pick<ControlOrder, 'model' | 'want'>): Promise<Result<ControlOrder, Unavailable>> {
    return this.#orders.order(wanted);
  }

  orders(): Promise<readonly ControlOrder[]> {
    return this.#orders.orders();
  }

  async addStatistics(cls: ClassId, more: ClassStatistics): Promise<void> {
    checkStatistics(more);
    this.#statistics.set(cls, addUp(this.#statistics.get(cls) ?? noStatistics, more));
  }

  statistics(classes: readonly ClassId[]): Promise<readonly ClassStatistics[]> {
    return Promise.resolve(classes.map((cls) => this.#statistics.get(cls) ?? noStatistics));
  }

  inspect(): Promise<readonly QueueCheck[]> {
    return Promise.resolve([]);
  }

  ping(): Promise<number | undefined> {
    return Promise.resolve(0);
  }

  close(): Promise<void> {
    for (const listeners of this.#endListeners.values()) {
      for (const listener of listeners) listener(undefined);
    }
    for (const { wake } of this.#wakeListeners) wake();
    this.partials.close();
    return Promise.resolve();
  }

  #classOf(id: JobId): ClassQueue | undefined {
    const cls = this.#classOfJob.get(id);
    return cls === undefined ? undefined : this.#class(cls);
  }

  #class(cls: ClassId): ClassQueue {
    let queue = this.#classes.get(cls);
    if (queue === undefined) {
      const { clock, leaseMs, resultBytesPerClassMax, rules } = this.#options;
      queue = new ClassQueue(cls, {
        clock,
        rules,
        leaseMs,
        resultBytesMax: resultBytesPerClassMax,
        onChange: (change) => {
          this.events.emit('changed', change);
          for (const id of change.ids) this.partials.wake(id);
        },
        onWork: () => {
          for (const { classes, wake } of this.#wakeListeners) if (classes.has(cls)) wake();
        },
        onEnding: (id, fence) => this.partials.ended(id, fence),
        onEnded: (record) => {
          for (const listener of this.#endListeners.get(record.job.id) ?? []) listener(record);
        },
        onForgotten: (id, reason) => {
          this.#classOfJob.delete(id);
          this.partials.forget(id);
          const untilMs = this.#nowMs() + this.#options.tombstoneMs;
          this.#tombstones.set(id, { reason, untilMs });
        },
      });
      this.#classes.set(cls, queue);
    }
    return queue;
  }

  #nowMs(): number {
    return this.#options.clock.nowMs();
  }
}
