/** One class of the memory queue: its waiting, active and ended jobs, and every change between them. */
import {
  type ClassId,
  type Estimate,
  isTerminal,
  type JobEnvelope,
  type JobId,
  type JobRecord,
  type Outcome,
  type ServiceProfile,
} from '@inferry/contracts';
import { type Clock, ok, type Result } from '@inferry/runtime';
import type {
  Change,
  Claim,
  Claimed,
  ClaimRequest,
  Enqueued,
  EnqueueRefusal,
  EnqueueTerms,
  JobOutline,
  Settled,
  Settlement,
} from '../port.ts';
import type { ClassStats, FlowStats, SweepReport } from '../reports.ts';
import type { QueueRules } from '../rules.ts';
import { admit, type ClassView, pacing } from './admission.ts';
import { Arrivals } from './arrivals.ts';
import { classStatsOf } from './class-stats.ts';
import {
  claimOf,
  duplicateOf,
  endedRecord,
  failed,
  idsOf,
  type Job,
  lateOutcome,
  liveRecord,
  newJob,
  sweptJobs,
} from './job.ts';
import { isAbandoned, leaseUntil } from './lease.ts';
import { Outcomes } from './outcomes.ts';
import { outlookOf, prospectOf } from './outlook.ts';
import { Servers } from './servers.ts';
import { WaitLine } from './wait-line.ts';

export interface ClassQueueDeps {
  readonly clock: Clock;
  readonly rules: QueueRules;
  readonly leaseMs: number;
  readonly resultBytesMax: number;
  readonly onChange: (change: Change) => void;
  readonly onWork: () => void;
  /** By the claim with this fence, if any; answers the bytes of its partial outputs. */
  readonly onEnding: (id: JobId, fence: string | undefined) => number;
  readonly onEnded: (record: JobRecord) => void;
  readonly onForgotten: (id: JobId, reason: 'expired' | 'deleted') => void;
}

export class ClassQueue {
  readonly #cls: ClassId;
  readonly #deps: ClassQueueDeps;
  /** Waiting and claimed jobs, in order of arrival. */
  readonly #live = new Map<JobId, Job>();
  readonly #line: WaitLine;
  readonly #arrivals = new Arrivals();
  #givenBackJobs = 0;
  readonly #servers: Servers;
  readonly #outcomes: Outcomes;
  readonly #view: ClassView;
  #lastSeq = 0;
  #fences = 0;
  #changes = 0;

  constructor(cls: ClassId, deps: ClassQueueDeps) {
    const { clock, leaseMs, onForgotten, resultBytesMax, rules } = deps;
    this.#cls = cls;
    this.#deps = deps;
    this.#line = new WaitLine(rules);
    this.#servers = new Servers(clock, leaseMs, rules.serviceMs);
    this.#outcomes = new Outcomes({ clock, bytesMax: resultBytesMax, onForgotten });
    const servers = this.#servers;
    const retryAfter = pacing(clock);
    this.#view = { line: this.#line, servers, arrivals: this.#arrivals, rules, retryAfter };
  }

  get hasWork(): boolean {
    return this.#line.jobs > 0;
  }

  enqueue(
    job: JobEnvelope,
    payload: Uint8Array,
    terms: EnqueueTerms,
  ): Result<Enqueued, EnqueueRefusal> {
    const nowMs = this.#nowMs();
    const existing = this.#live.get(job.id);
    if (existing !== undefined || this.#outcomes.has(job.id)) {
      const ahead = existing?.lease === null ? this.#line.rankOf(existing) : 0;
      return ok(duplicateOf(existing, ahead, nowMs));
    }
    const admitted = admit(this.#view, job, terms);
    if (!admitted.ok) return admitted;
    const { ahead, estimate } = admitted.value;
    this.#lastSeq += 1;
    const place = this.#line.arrive(job, terms.weight, nowMs);
    const arrival = { seq: this.#lastSeq, nowMs, place, estimate, budget: terms.budget };
    const added = newJob(job, payload, arrival);
    this.#live.set(job.id, added);
    this.#line.add(added);
    this.#arrivals.note(nowMs, job.rows);
    this.#changed('enqueue', [job.id]);
    this.#deps.onWork();
    return ok({
      seq: added.seq,
      enqueuedAtMs: nowMs,
      deadlineAtMs: added.deadlineAtMs,
      ahead,
      isAheadApproximate: this.#line.isMixed,
      estimate,
      isDuplicate: false,
    });
  }

  quote(job: JobOutline, terms: EnqueueTerms): Result<Estimate | null, EnqueueRefusal> {
    const admitted = admit(this.#view, job, terms);
    return admitted.ok ? ok(admitted.value.estimate) : admitted;
  }

  isLive(id: JobId): boolean {
    return this.#live.has(id);
  }

  holds(claim: Claim): boolean {
    return this.#owned(claim) !== undefined;
  }

  /** How the job ended; unlike a look, it ends nothing. */
  ended(id: JobId): JobRecord | undefined {
    return this.#outcomes.get(id);
  }

  /** The job as it is now, or undefined when nothing of it is left. */
  find(id: JobId): JobRecord | undefined {
    const job = this.#live.get(id);
    if (job === undefined) return this.#outcomes.get(id);
    if (this.#endIfLate(job)) {
      this.#changed('sweep', [id]);
      return this.#outcomes.get(id);
    }
    return liveRecord(job, job.lease === null ? prospectOf(this.#view, job, this.#nowMs()) : null);
  }

  cancel(id: JobId, detail: string): void {
    const job = this.#live.get(id);
    if (job === undefined) return;
    this.#end(job, failed('canceled', { code: 'canceled_by_user', detail }));
    this.#changed('cancel', [id]);
  }

  erase(id: JobId): 'erased' | 'live' | 'gone' {
    const record = this.find(id);
    if (record === undefined) return 'gone';
    if (!isTerminal(record.status)) return 'live';
    this.#outcomes.forget(id, 'deleted');
    return 'erased';
  }

  claim(request: ClaimRequest): Claimed {
    const { rowsMax, rowsMin, takeSuspect, workerId } = request;
    if (rowsMin > this.#line.rows && this.#line.first?.wasTaken === false) {
      this.#servers.claimed(workerId, request.freeInMs, 0);
      const rowsWaiting = this.#line.rows;
      const nothing = { claims: [], expired: [], suspectAhead: false };
      return { ...outlookOf(this.#view, workerId, this.#nowMs()), ...nothing, rowsWaiting };
    }
    const bornByMs = this.#nowMs() - request.agingMs;
    const agedRowsMax = Math.max(1, Math.floor(rowsMax / 4));
    this.#fences += 1;
    const fence = `${workerId}:${this.#fences}`;
    const claims: Claim[] = [];
    let rows = 0;
    let agedRows = 0;
    const late: Job[] = [];
    let suspectAhead = false;
    for (;;) {
      const elder = agedRows < agedRowsMax ? this.#line.elder(bornByMs) : undefined;
      const job = elder ?? this.#line.first;
      if (job === undefined) break;
      if (this.#endIfLate(job)) {
        late.push(job);
        continue;
      }
      const isSuspect = job.workersLost > 0;
      if (isSuspect && !takeSuspect) {
        suspectAhead = true;
        break;
      }
      const fits = !isSuspect && rows + job.envelope.rows <= rowsMax;
      if (claims.length > 0 && !fits) break;
      if (elder !== undefined) agedRows += job.envelope.rows;
      rows += job.envelope.rows;
      claims.push(this.#take(job, fence));
      if (isSuspect || rows >= rowsMax) break;
    }
    this.#servers.claimed(workerId, request.freeInMs, rows);
    if (claims.length + late.length > 0) {
      const taken = claims.map(({ job }) => job.id);
      this.#changed('claim', taken);
    }
    const expired = sweptJobs(late);
    return {
      ...outlookOf(this.#view, workerId, this.#nowMs()),
      claims,
      expired,
      rowsWaiting: 0,
      suspectAhead,
    };
  }

  #take(job: Job, fence: string): Claim {
    const nowMs = this.#nowMs();
    const overtakenBy = this.#line.overtakenBy(job);
    this.#line.take(job);
    job.attempt += 1;
    job.startedAtMs ??= nowMs;
    job.lease = leaseUntil(fence, nowMs + this.#deps.leaseMs);
    return claimOf(job, { fence, claimedAtMs: nowMs, overtakenBy });
  }

  offer(workerId: string, profile: ServiceProfile | null): void {
    this.#servers.offer(workerId, profile);
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
    const ended: JobId[] = [];
    const answers = settlements.map(({ claim, outcome }): Settled => {
      const job = this.#owned(claim);
      if (job === undefined) return { result: 'lost', settledAtMs };
      this.#end(job, outcome);
      ended.push(job.envelope.id);
      return { result: 'settled', settledAtMs };
    });
    this.#changed('settle', ended);
    return answers;
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
    if (!asSuspects) this.#givenBackJobs += jobs.length;
    this.#return(jobs);
    this.#changed('giveBack', idsOf(jobs));
  }

  sweep(): SweepReport {
    const nowMs = this.#nowMs();
    const { leaseMs } = this.#deps;
    const expired = [...this.#live.values()].filter((job) => this.#endIfLate(job));
    const dead = [...this.#live.values()].filter((job) => isAbandoned(job.lease, nowMs, leaseMs));
    const exhausted = dead.filter((job) => job.attempt >= job.envelope.attemptsMax);
    for (const job of exhausted) {
      const detail = `Every worker that ran this job was lost (${job.attempt} starts).`;
      this.#end(job, failed('failed', { code: 'worker_lost', detail }));
    }
    const returned = dead.filter((job) => !exhausted.includes(job));
    for (const job of returned) job.workersLost += 1;
    this.#return(returned);
    this.#outcomes.expire();
    this.#line.prune(this.#live.values());
    this.#changed('sweep', idsOf([...expired, ...exhausted, ...returned]));
    return { returned: idsOf(returned), failed: sweptJobs(exhausted), expired: sweptJobs(expired) };
  }

  stats(): ClassStats {
    return classStatsOf(this.#cls, {
      ...this.#view,
      outcomes: this.#outcomes,
      active: this.#live.size - this.#line.jobs,
      givenBackJobs: this.#givenBackJobs,
      nowMs: this.#nowMs(),
    });
  }

  flows(): readonly FlowStats[] {
    return this.#line.flows;
  }

  // ---- transitions ----------------------------------------------------------------------------------

  #return(jobs: readonly Job[]): void {
    for (const job of jobs) {
      job.lease = null;
      this.#line.restore(job);
    }
    if (jobs.length > 0) this.#deps.onWork();
  }

  /** Ends the job when its time has run out; true when it did. */
  #endIfLate(job: Job): boolean {
    const outcome = lateOutcome(job, this.#nowMs());
    if (outcome !== undefined) this.#end(job, outcome);
    return outcome !== undefined;
  }

  #end(job: Job, outcome: Outcome): void {
    if (job.lease === null) this.#line.drop(job);
    this.#live.delete(job.envelope.id);
    const record = endedRecord(job, outcome, this.#nowMs());
    this.#outcomes.keep(record, this.#deps.onEnding(job.envelope.id, job.lease?.fence));
    this.#deps.onEnded(record);
  }

  #owned(claim: Claim): Job | undefined {
    const job = this.#live.get(claim.job.id);
    return job?.lease?.fence === claim.fence ? job : undefined;
  }

  /** Tells of a change; a call that changed nothing tells nothing. */
  #changed(what: Change['what'], ids: readonly JobId[]): void {
    if (ids.length === 0 && what !== 'claim') return;
    this.#changes += 1;
    const at = { number: this.#changes, atMs: this.#nowMs() };
    this.#deps.onChange({ class: this.#cls, what, ids, ...at });
  }

  #nowMs(): number {
    return this.#deps.clock.nowMs();
  }
}
