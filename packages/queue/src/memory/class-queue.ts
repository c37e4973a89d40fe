/** One class of the memory queue: its waiting, active and ended jobs, and every change between them. */
import {
  type ClassId,
  isTerminal,
  type JobEnvelope,
  type JobId,
  type JobRecord,
  type Outcome,
} from '@inferry/contracts';
import type { Clock } from '@inferry/runtime';
import type {
  Claim,
  Claimed,
  ClaimRequest,
  ClassStats,
  DepthLimits,
  Enqueued,
  Settled,
  Settlement,
  SweepReport,
} from '../port.ts';
import { failed, idsOf, type Job, liveRecord, newJob, outcomeBytes } from './job.ts';
import { isAbandoned, leaseUntil } from './lease.ts';

export interface ClassQueueDeps {
  readonly clock: Clock;
  readonly leaseMs: number;
  readonly resultBytesMax: number;
  readonly onWork: () => void;
  readonly onEnded: (record: JobRecord) => void;
  readonly onForgotten: (id: JobId, reason: 'expired' | 'deleted') => void;
}

export class ClassQueue {
  readonly #cls: ClassId;
  readonly #deps: ClassQueueDeps;
  /** By seq, ascending: the head of the queue is the first. */
  readonly #waiting: Job[] = [];
  readonly #active = new Map<JobId, Job>();
  readonly #outcomes = new Map<JobId, { readonly record: JobRecord; readonly bytes: number }>();
  #lastSeq = 0;
  /** Jobs that left the wait list so far, returned ones subtracted. */
  #removed = 0;
  /** Seqs of jobs that ended while they waited, as long as an older job lives: they overtook nobody. */
  #skipped: number[] = [];
  #waitingBytes = 0;
  #resultBytes = 0;
  #fences = 0;

  constructor(cls: ClassId, deps: ClassQueueDeps) {
    this.#cls = cls;
    this.#deps = deps;
  }

  get hasWork(): boolean {
    return this.#waiting.length > 0;
  }

  /** The bound that is reached, or undefined after the job was added. */
  enqueue(
    job: JobEnvelope,
    payload: Uint8Array,
    limits: DepthLimits,
  ): Enqueued | 'depth' | 'bytes' {
    const nowMs = this.#nowMs();
    const existing = this.#live(job.id);
    if (existing !== undefined || this.#outcomes.has(job.id)) {
      return {
        seq: existing?.seq ?? 0,
        enqueuedAtMs: existing?.enqueuedAtMs ?? nowMs,
        deadlineAtMs: existing?.deadlineAtMs ?? nowMs,
        ahead: existing === undefined ? 0 : Math.max(0, this.#waiting.indexOf(existing)),
        isDuplicate: true,
      };
    }
    if (this.#waiting.length >= limits.depthMax) return 'depth';
    if (this.#waitingBytes + payload.length > limits.bytesMax) return 'bytes';
    this.#lastSeq += 1;
    const ahead = this.#waiting.length;
    const added = newJob(job, payload, { seq: this.#lastSeq, nowMs });
    this.#waiting.push(added);
    this.#waitingBytes += payload.length;
    this.#deps.onWork();
    const { seq, deadlineAtMs } = added;
    return { seq, enqueuedAtMs: nowMs, deadlineAtMs, ahead, isDuplicate: false };
  }

  /** The job as it is now, or undefined when nothing of it is left. */
  find(id: JobId): JobRecord | undefined {
    const live = this.#live(id);
    if (live !== undefined) this.#endIfLate(live);
    const ended = this.#outcomes.get(id)?.record;
    if (ended !== undefined) {
      if ((ended.expiresAtMs ?? Infinity) > this.#nowMs()) return ended;
      this.#forget(id, 'expired');
      return undefined;
    }
    const job = this.#live(id);
    return job === undefined ? undefined : liveRecord(job, this.#waiting.indexOf(job));
  }

  cancel(id: JobId, detail: string): void {
    const job = this.#live(id);
    if (job !== undefined) this.#end(job, failed('canceled', { code: 'canceled_by_user', detail }));
  }

  erase(id: JobId): 'erased' | 'live' | 'gone' {
    const record = this.find(id);
    if (record === undefined) return 'gone';
    if (!isTerminal(record.status)) return 'live';
    this.#forget(id, 'deleted');
    return 'erased';
  }

  claim(request: ClaimRequest): Claimed {
    const nowMs = this.#nowMs();
    const claims: Claim[] = [];
    let rows = 0;
    let suspectAhead = false;
    if (request.rowsMin > 1) {
      const head = this.#waiting.slice(0, request.rowsMin);
      const rowsWaiting = head.reduce((sum, job) => sum + job.envelope.rows, 0);
      if (rowsWaiting < request.rowsMin && !head.some((job) => job.hasReturned)) {
        return { ...this.#outlook(), claims, rowsWaiting, suspectAhead };
      }
    }
    this.#fences += 1;
    const fence = `${request.workerId}:${this.#fences}`;
    for (;;) {
      const job = this.#waiting[0];
      if (job === undefined) break;
      if (this.#endIfLate(job)) continue;
      const isSuspect = job.workersLost > 0;
      if (isSuspect && !request.takeSuspect) {
        suspectAhead = true;
        break;
      }
      const isFirst = claims.length === 0;
      if (!isFirst && (isSuspect || rows + job.envelope.rows > request.rowsMax)) break;
      const overtakenBy = this.#overtakenBy(job);
      this.#leaveWaiting(job);
      job.attempt += 1;
      job.startedAtMs ??= nowMs;
      job.lease = leaseUntil(fence, nowMs + this.#deps.leaseMs);
      this.#active.set(job.envelope.id, job);
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
    return { ...this.#outlook(), claims, rowsWaiting: 0, suspectAhead };
  }

  /** Later jobs that were claimed; the job is at the head. */
  #overtakenBy(job: Job): number {
    const left = this.#removed - (job.seq - 1);
    return left === 0 ? 0 : left - this.#skipped.filter((seq) => seq > job.seq).length;
  }

  #outlook(): Pick<Claimed, 'waiting' | 'oldestAtMs' | 'nowMs'> {
    return {
      waiting: this.#waiting.length,
      oldestAtMs: this.#waiting[0]?.enqueuedAtMs ?? null,
      nowMs: this.#nowMs(),
    };
  }

  /** The claims that are no longer owned. */
  renew(claims: readonly Claim[]): readonly Claim[] {
    const untilMs = this.#nowMs() + this.#deps.leaseMs;
    return claims.filter((claim) => {
      const job = this.#owned(claim);
      if (job !== undefined) job.lease = leaseUntil(claim.fence, untilMs);
      return job === undefined;
    });
  }

  settle(settlements: readonly Settlement[]): readonly Settled[] {
    const settledAtMs = this.#nowMs();
    return settlements.map(({ claim, outcome }): Settled => {
      const job = this.#owned(claim);
      if (job === undefined) return { result: 'lost', settledAtMs };
      this.#end(job, outcome);
      return { result: 'settled', settledAtMs };
    });
  }

  giveBack(claims: readonly Claim[], asSuspects: boolean): void {
    const jobs = claims.flatMap((claim) => this.#owned(claim) ?? []);
    for (const job of jobs) {
      if (asSuspects) job.workersLost += 1;
      else {
        job.attempt -= 1;
        if (job.attempt === 0) job.startedAtMs = null;
      }
    }
    this.#return(jobs);
  }

  sweep(): SweepReport {
    const nowMs = this.#nowMs();
    const { leaseMs } = this.#deps;
    const all = [...this.#waiting, ...this.#active.values()];
    const expired = all.filter((job) => this.#endIfLate(job));
    const dead = [...this.#active.values()].filter((job) => isAbandoned(job.lease, nowMs, leaseMs));
    const exhausted = dead.filter((job) => job.attempt >= job.envelope.attemptsMax);
    for (const job of exhausted) {
      const detail = `Every worker that ran this job was lost (${job.attempt} starts).`;
      this.#end(job, failed('failed', { code: 'worker_lost', detail }));
    }
    const returned = dead.filter((job) => !exhausted.includes(job));
    for (const job of returned) job.workersLost += 1;
    this.#return(returned);
    this.#expireOutcomes();
    const live = [...this.#waiting.slice(0, 1), ...this.#active.values()];
    const oldest = live.reduce((least, { seq }) => Math.min(least, seq), Infinity);
    this.#skipped = this.#skipped.filter((seq) => seq > oldest);
    return { returned: idsOf(returned), failed: idsOf(exhausted), expired: idsOf(expired) };
  }

  stats(): ClassStats {
    const oldest = this.#waiting[0];
    return {
      class: this.#cls,
      waiting: this.#waiting.length,
      active: this.#active.size,
      waitingBytes: this.#waitingBytes,
      resultBytes: this.#resultBytes,
      oldestAgeMs: oldest === undefined ? 0 : this.#nowMs() - oldest.enqueuedAtMs,
    };
  }

  // ---- transitions: the only places where a job changes its list ------------------------------------

  #leaveWaiting(job: Job): void {
    // Almost always the head: everything else leaves by expiry or cancel.
    const at = this.#waiting[0] === job ? 0 : this.#waiting.indexOf(job);
    this.#waiting.splice(at, 1);
    this.#waitingBytes -= job.payload.length;
    this.#removed += 1;
  }

  #return(jobs: readonly Job[]): void {
    if (jobs.length === 0) return;
    for (const job of jobs) {
      this.#active.delete(job.envelope.id);
      job.lease = null;
      job.hasReturned = true;
      this.#waiting.push(job);
      this.#waitingBytes += job.payload.length;
      this.#removed -= 1;
    }
    this.#waiting.sort((a, b) => a.seq - b.seq);
    this.#deps.onWork();
  }

  /** Ends the job when its time has run out; true when it did. */
  #endIfLate(job: Job): boolean {
    const nowMs = this.#nowMs();
    if (job.attempt === 0) {
      if (nowMs < job.queueDeadlineAtMs) return false;
      const detail = 'The job was not started in time; it never ran.';
      this.#end(job, failed('expired', { code: 'queue_timeout', detail }));
      return true;
    }
    if (nowMs < job.deadlineAtMs) return false;
    const detail = 'The job did not end before its deadline.';
    this.#end(job, failed('failed', { code: 'deadline_exceeded', detail }));
    return true;
  }

  #end(job: Job, outcome: Outcome): void {
    const { id, retentionMs } = job.envelope;
    if (job.lease === null) {
      this.#leaveWaiting(job);
      this.#skipped.push(job.seq);
    } else this.#active.delete(id);
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
    this.#outcomes.set(id, { record, bytes });
    this.#resultBytes += bytes;
    this.#boundOutcomes();
    this.#deps.onEnded(record);
  }

  #expireOutcomes(): void {
    const nowMs = this.#nowMs();
    for (const [id, { record }] of this.#outcomes) {
      if ((record.expiresAtMs ?? 0) <= nowMs) this.#forget(id, 'expired');
    }
  }

  /** Keeps the outcomes within their byte bound; the oldest go first. */
  #boundOutcomes(): void {
    for (const id of this.#outcomes.keys()) {
      if (this.#resultBytes <= this.#deps.resultBytesMax) break;
      this.#forget(id, 'expired');
    }
  }

  #forget(id: JobId, reason: 'expired' | 'deleted'): void {
    this.#resultBytes -= this.#outcomes.get(id)?.bytes ?? 0;
    this.#outcomes.delete(id);
    this.#deps.onForgotten(id, reason);
  }

  #live(id: JobId): Job | undefined {
    return this.#active.get(id) ?? this.#waiting.find((job) => job.envelope.id === id);
  }

  #owned(claim: Claim): Job | undefined {
    const job = this.#active.get(claim.job.id);
    return job?.lease?.fence === claim.fence ? job : undefined;
  }

  #nowMs(): number {
    return this.#deps.clock.nowMs();
  }
}
