/**
 * The queue in this process's memory: for `inferry serve` without Redis, for tests and simulation. It
 * keeps the same promises as the durable one, except that nothing survives the process.
 */
import {
  type ClassId,
  defaultLimits,
  isTerminal,
  type JobEnvelope,
  type JobError,
  type JobId,
  type JobRecord,
  type Outcome,
  type TerminalStatus,
  type WorkerAnnouncement,
} from '@inferry/contracts';
import { type Clock, Emitter, err, ok, type Result } from '@inferry/runtime';
import type {
  Claim,
  Claimed,
  ClaimRequest,
  ClassStats,
  DepthLimits,
  Enqueued,
  EnqueueRefusal,
  JobQueue,
  Lookup,
  QueueEvents,
  Settled,
  Settlement,
  SweepReport,
  Unavailable,
} from '../port.ts';
import { queueFull } from '../refusals.ts';
import { MemoryKeys } from './memory-keys.ts';

export interface MemoryQueueOptions {
  readonly clock: Clock;
  readonly leaseMs: number;
  readonly resultBytesPerClassMax: number;
  readonly tombstoneMs: number;
}

interface Job {
  readonly envelope: JobEnvelope;
  readonly payload: Uint8Array;
  readonly seq: number;
  readonly enqueuedAtMs: number;
  readonly deadlineAtMs: number;
  readonly queueDeadlineAtMs: number;
  attempt: number;
  workersLost: number;
  startedAtMs: number | null;
  /** Set while the job is claimed. */
  lease: { readonly fence: string; untilMs: number } | null;
}

interface ClassState {
  /** By seq, ascending: the head of the queue is the first. */
  readonly waiting: Job[];
  readonly active: Map<JobId, Job>;
  readonly outcomes: Map<JobId, { readonly record: JobRecord; readonly bytes: number }>;
  lastSeq: number;
  removed: number;
  waitingBytes: number;
  resultBytes: number;
}

interface Tombstone {
  readonly reason: 'expired' | 'deleted';
  readonly untilMs: number;
}

const wakeMsMax = 5_000;

export function createMemoryQueue(
  options: Pick<MemoryQueueOptions, 'clock'> & Partial<MemoryQueueOptions>,
): JobQueue {
  return new MemoryQueue({
    leaseMs: defaultLimits.leaseMs,
    resultBytesPerClassMax: defaultLimits.resultBytesPerClassMax,
    tombstoneMs: defaultLimits.tombstoneMs,
    ...options,
  });
}

class MemoryQueue implements JobQueue {
  readonly kind = 'memory';
  readonly events = new Emitter<QueueEvents>();
  readonly keys: MemoryKeys;
  readonly #options: MemoryQueueOptions;
  readonly #classes = new Map<ClassId, ClassState>();
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
  #fences = 0;

  constructor(options: MemoryQueueOptions) {
    this.#options = options;
    this.keys = new MemoryKeys(options.clock);
  }

  // ---- gateway side -------------------------------------------------------------------------------

  enqueue(
    job: JobEnvelope,
    payload: Uint8Array,
    limits: DepthLimits,
  ): Promise<Result<Enqueued, EnqueueRefusal>> {
    const state = this.#state(job.class);
    const existing = this.#live(job.id) ?? null;
    if (existing !== null || state.outcomes.has(job.id)) {
      return resolved(
        ok({
          seq: existing?.seq ?? 0,
          enqueuedAtMs: existing?.enqueuedAtMs ?? this.#nowMs(),
          deadlineAtMs: existing?.deadlineAtMs ?? this.#nowMs(),
          ahead: existing === null ? 0 : Math.max(0, state.waiting.indexOf(existing)),
          isDuplicate: true,
        }),
      );
    }
    if (state.waiting.length >= limits.depthMax) {
      return resolved(err(queueFull(job.class, 'depth', limits)));
    }
    if (state.waitingBytes + payload.length > limits.bytesMax) {
      return resolved(err(queueFull(job.class, 'bytes', limits)));
    }
    const nowMs = this.#nowMs();
    state.lastSeq += 1;
    const added: Job = {
      envelope: job,
      payload,
      seq: state.lastSeq,
      enqueuedAtMs: nowMs,
      deadlineAtMs: nowMs + job.deadlineMs,
      queueDeadlineAtMs: nowMs + job.queueTimeoutMs,
      attempt: 0,
      workersLost: 0,
      startedAtMs: null,
      lease: null,
    };
    const ahead = state.waiting.length;
    state.waiting.push(added);
    state.waitingBytes += payload.length;
    this.#classOfJob.set(job.id, job.class);
    this.#wake(job.class);
    return resolved(
      ok({
        seq: added.seq,
        enqueuedAtMs: nowMs,
        deadlineAtMs: added.deadlineAtMs,
        ahead,
        isDuplicate: false,
      }),
    );
  }

  find(id: JobId): Promise<Result<Lookup, Unavailable>> {
    return resolved(ok(this.#find(id)));
  }

  #find(id: JobId): Lookup {
    const cls = this.#classOfJob.get(id);
    const tombstone = this.#tombstones.get(id);
    if (cls === undefined) {
      if (tombstone === undefined || tombstone.untilMs <= this.#nowMs()) return { found: 'never' };
      return { found: 'gone', reason: tombstone.reason };
    }
    const state = this.#state(cls);
    const live = this.#live(id);
    if (live !== undefined) this.#endIfLate(state, live);
    const ended = state.outcomes.get(id);
    if (ended !== undefined) {
      if ((ended.record.expiresAtMs ?? Infinity) > this.#nowMs()) {
        return { found: 'record', record: ended.record };
      }
      this.#forget(state, id, 'expired');
      return { found: 'gone', reason: 'expired' };
    }
    const job = this.#live(id);
    return job === undefined
      ? { found: 'gone', reason: 'expired' }
      : { found: 'record', record: liveRecord(state, job) };
  }

  outcome(id: JobId, signal: AbortSignal): Promise<JobRecord | undefined> {
    const lookup = this.#find(id);
    if (lookup.found !== 'record' || signal.aborted) return Promise.resolve(undefined);
    if (isTerminal(lookup.record.status)) return Promise.resolve(lookup.record);
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
    const job = this.#live(id);
    if (job !== undefined) {
      const state = this.#state(job.envelope.class);
      this.#end(state, job, failed('canceled', { code: 'canceled_by_user', detail }));
    }
    return this.find(id);
  }

  erase(id: JobId): Promise<Result<'erased' | 'live' | 'gone' | 'never', Unavailable>> {
    const lookup = this.#find(id);
    if (lookup.found !== 'record') return resolved(ok(lookup.found));
    if (!isTerminal(lookup.record.status)) return resolved(ok('live'));
    this.#forget(this.#state(lookup.record.job.class), id, 'deleted');
    return resolved(ok('erased'));
  }

  // ---- worker side --------------------------------------------------------------------------------

  claim(cls: ClassId, request: ClaimRequest): Promise<Claimed> {
    const state = this.#state(cls);
    const nowMs = this.#nowMs();
    const claims: Claim[] = [];
    let rows = 0;
    let suspectAhead = false;
    if (request.rowsMin > 1) {
      const head = state.waiting.slice(0, request.rowsMin);
      const rowsWaiting = head.reduce((sum, job) => sum + job.envelope.rows, 0);
      if (rowsWaiting < request.rowsMin && !head.some((job) => job.workersLost > 0)) {
        return Promise.resolve({ ...this.#outlook(state), claims, rowsWaiting, suspectAhead });
      }
    }
    this.#fences += 1;
    const fence = `${request.workerId}:${this.#fences}`;
    for (;;) {
      const job = state.waiting[0];
      if (job === undefined) break;
      if (this.#endIfLate(state, job)) continue;
      const isSuspect = job.workersLost > 0;
      if (isSuspect && !request.takeSuspect) {
        suspectAhead = true;
        break;
      }
      const isFirst = claims.length === 0;
      if (!isFirst && (isSuspect || rows + job.envelope.rows > request.rowsMax)) break;
      const overtakenBy = state.removed - (job.seq - 1);
      this.#leaveWaiting(state, job);
      job.attempt += 1;
      job.startedAtMs ??= nowMs;
      job.lease = { fence, untilMs: nowMs + this.#options.leaseMs };
      state.active.set(job.envelope.id, job);
      rows += job.envelope.rows;
      claims.push({
        job: job.envelope,
        fence,
        attempt: job.attempt,
        isSuspect,
        seq: job.seq,
        enqueuedAtMs: job.enqueuedAtMs,
        claimedAtMs: nowMs,
        deadlineAtMs: job.deadlineAtMs,
        overtakenBy,
        payload: job.payload,
      });
      if (isSuspect || rows >= request.rowsMax) break;
    }
    return Promise.resolve({ ...this.#outlook(state), claims, rowsWaiting: 0, suspectAhead });
  }

  #outlook(state: ClassState): Pick<Claimed, 'waiting' | 'oldestAtMs' | 'nowMs'> {
    return {
      waiting: state.waiting.length,
      oldestAtMs: state.waiting[0]?.enqueuedAtMs ?? null,
      nowMs: this.#nowMs(),
    };
  }

  awaitWork(_workerId: string, classes: readonly ClassId[], signal: AbortSignal): Promise<void> {
    const hasWork = classes.some((cls) => this.#state(cls).waiting.length > 0);
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
    const untilMs = this.#nowMs() + this.#options.leaseMs;
    const lost = claims.filter((claim) => {
      const lease = this.#owned(cls, claim)?.lease;
      if (lease === null || lease === undefined) return true;
      lease.untilMs = untilMs;
      return false;
    });
    return Promise.resolve(lost);
  }

  settle(cls: ClassId, settlements: readonly Settlement[]): Promise<readonly Settled[]> {
    const settledAtMs = this.#nowMs();
    const results = settlements.map(({ claim, outcome }): Settled => {
      const job = this.#owned(cls, claim);
      if (job === undefined) return { result: 'lost', settledAtMs };
      this.#end(this.#state(cls), job, outcome);
      return { result: 'settled', settledAtMs };
    });
    return Promise.resolve(results);
  }

  giveBack(cls: ClassId, claims: readonly Claim[], asSuspects: boolean): Promise<void> {
    const state = this.#state(cls);
    const jobs = claims.flatMap((claim) => this.#owned(cls, claim) ?? []);
    for (const job of jobs) {
      if (asSuspects) job.workersLost += 1;
      else {
        job.attempt -= 1;
        if (job.attempt === 0) job.startedAtMs = null;
      }
    }
    this.#return(state, jobs);
    return Promise.resolve();
  }

  sweep(cls: ClassId): Promise<SweepReport> {
    const state = this.#state(cls);
    const nowMs = this.#nowMs();
    const expired = [...state.waiting, ...state.active.values()].filter((job) =>
      this.#endIfLate(state, job),
    );
    const dead = [...state.active.values()].filter((job) => (job.lease?.untilMs ?? 0) <= nowMs);
    const exhausted = dead.filter((job) => job.attempt >= job.envelope.attemptsMax);
    for (const job of exhausted) {
      const detail = `Every worker that ran this job was lost (${job.attempt} starts).`;
      this.#end(state, job, failed('failed', { code: 'worker_lost', detail }));
    }
    const returned = dead.filter((job) => !exhausted.includes(job));
    for (const job of returned) job.workersLost += 1;
    this.#return(state, returned);
    this.#expireOutcomes(state);
    return Promise.resolve({
      returned: ids(returned),
      failed: ids(exhausted),
      expired: ids(expired),
    });
  }

  stats(classes: readonly ClassId[]): Promise<readonly ClassStats[]> {
    return Promise.resolve(
      classes.map((cls) => {
        const state = this.#state(cls);
        const oldest = state.waiting[0];
        return {
          class: cls,
          waiting: state.waiting.length,
          active: state.active.size,
          waitingBytes: state.waitingBytes,
          resultBytes: state.resultBytes,
          oldestAgeMs: oldest === undefined ? 0 : this.#nowMs() - oldest.enqueuedAtMs,
        };
      }),
    );
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

  ping(): Promise<number | undefined> {
    return Promise.resolve(0);
  }

  close(): Promise<void> {
    for (const listeners of this.#endListeners.values()) {
      for (const listener of listeners) listener(undefined);
    }
    for (const { wake } of this.#wakeListeners) wake();
    return Promise.resolve();
  }

  // ---- transitions: the only places where a job changes its list ------------------------------------

  #leaveWaiting(state: ClassState, job: Job): void {
    // Almost always the head: everything else leaves by expiry or cancel.
    const at = state.waiting[0] === job ? 0 : state.waiting.indexOf(job);
    state.waiting.splice(at, 1);
    state.waitingBytes -= job.payload.length;
    state.removed += 1;
  }

  #return(state: ClassState, jobs: readonly Job[]): void {
    if (jobs.length === 0) return;
    for (const job of jobs) {
      state.active.delete(job.envelope.id);
      job.lease = null;
      state.waiting.push(job);
      state.waitingBytes += job.payload.length;
      state.removed -= 1;
    }
    state.waiting.sort((a, b) => a.seq - b.seq);
    const cls = jobs[0]?.envelope.class;
    if (cls !== undefined) this.#wake(cls);
  }

  /** Ends the job when its time has run out; true when it did. */
  #endIfLate(state: ClassState, job: Job): boolean {
    const nowMs = this.#nowMs();
    if (job.attempt === 0) {
      if (nowMs < job.queueDeadlineAtMs) return false;
      const detail = 'The job was not started in time; it never ran.';
      this.#end(state, job, failed('expired', { code: 'queue_timeout', detail }));
      return true;
    }
    if (nowMs < job.deadlineAtMs) return false;
    const detail = 'The job did not end before its deadline.';
    this.#end(state, job, failed('failed', { code: 'deadline_exceeded', detail }));
    return true;
  }

  #end(state: ClassState, job: Job, outcome: Outcome): void {
    const { id, retentionMs } = job.envelope;
    if (job.lease === null) this.#leaveWaiting(state, job);
    else state.active.delete(id);
    const settledAtMs = this.#nowMs();
    const record: JobRecord = {
      job: job.envelope,
      status: outcome.status,
      attempt: job.attempt,
      enqueuedAtMs: job.enqueuedAtMs,
      startedAtMs: job.startedAtMs,
      settledAtMs,
      deadlineAtMs: job.deadlineAtMs,
      expiresAtMs: settledAtMs + retentionMs,
      ahead: null,
      outcome,
    };
    const bytes = outcomeBytes(outcome);
    state.outcomes.set(id, { record, bytes });
    state.resultBytes += bytes;
    this.#expireOutcomes(state);
    const listeners = this.#endListeners.get(id);
    if (listeners !== undefined) for (const listener of listeners) listener(record);
  }

  /** Keeps outcomes for their time and within the byte bound; the oldest go first. */
  #expireOutcomes(state: ClassState): void {
    const nowMs = this.#nowMs();
    for (const [id, { record }] of state.outcomes) {
      const isExpired = (record.expiresAtMs ?? 0) <= nowMs;
      if (!isExpired && state.resultBytes <= this.#options.resultBytesPerClassMax) break;
      this.#forget(state, id, 'expired');
    }
    for (const [id, { untilMs }] of this.#tombstones) {
      if (untilMs > nowMs) break;
      this.#tombstones.delete(id);
    }
  }

  #forget(state: ClassState, id: JobId, reason: Tombstone['reason']): void {
    state.resultBytes -= state.outcomes.get(id)?.bytes ?? 0;
    state.outcomes.delete(id);
    this.#classOfJob.delete(id);
    this.#tombstones.set(id, { reason, untilMs: this.#nowMs() + this.#options.tombstoneMs });
  }

  #wake(cls: ClassId): void {
    for (const listener of this.#wakeListeners) if (listener.classes.has(cls)) listener.wake();
  }

  #live(id: JobId): Job | undefined {
    const cls = this.#classOfJob.get(id);
    if (cls === undefined) return undefined;
    const state = this.#state(cls);
    return state.active.get(id) ?? state.waiting.find((job) => job.envelope.id === id);
  }

  #owned(cls: ClassId, claim: Claim): Job | undefined {
    const job = this.#state(cls).active.get(claim.job.id);
    return job?.lease?.fence === claim.fence ? job : undefined;
  }

  #state(cls: ClassId): ClassState {
    let state = this.#classes.get(cls);
    if (state === undefined) {
      state = {
        waiting: [],
        active: new Map(),
        outcomes: new Map(),
        lastSeq: 0,
        removed: 0,
        waitingBytes: 0,
        resultBytes: 0,
      };
      this.#classes.set(cls, state);
    }
    return state;
  }

  #nowMs(): number {
    return this.#options.clock.nowMs();
  }
}

function failed(status: TerminalStatus, error: JobError): Outcome {
  return {
    status,
    output: null,
    error,
    batchRows: null,
    timings: null,
    readyAtMs: null,
    overtakenBy: 0,
  };
}

function liveRecord(state: ClassState, job: Job): JobRecord {
  const isQueued = job.lease === null;
  return {
    job: job.envelope,
    status: isQueued ? 'queued' : 'running',
    attempt: job.attempt,
    enqueuedAtMs: job.enqueuedAtMs,
    startedAtMs: job.startedAtMs,
    settledAtMs: null,
    deadlineAtMs: job.deadlineAtMs,
    expiresAtMs: null,
    ahead: isQueued ? state.waiting.indexOf(job) : null,
    outcome: null,
  };
}

/** A close upper estimate of what the outcome takes in memory. */
function outcomeBytes(outcome: Outcome): number {
  const { output } = outcome;
  if (output === null) return 512;
  if (output.form === 'tensors') {
    return output.tensors.reduce((sum, tensor) => sum + tensor.bytes.length + 128, 512);
  }
  return 512 + JSON.stringify(output.rows).length;
}

function ids(jobs: readonly Job[]): readonly JobId[] {
  return jobs.map((job) => job.envelope.id);
}

function resolved<T>(value: T): Promise<T> {
  return Promise.resolve(value);
}
