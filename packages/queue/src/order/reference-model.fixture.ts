/**
 * What a queue must do with the jobs of one class, told as plainly as possible: one array, searched and
 * sorted anew at every step, and rules written down a second time instead of shared. The queues are
 * held to it; it predicts which jobs a claim takes, in which order, and who was overtaken.
 */
import type { JobId } from '@inferry/contracts';
import type { ClaimRequest } from '../port.ts';

/** A row of a flow of weight 1, in units of virtual time. */
const rowTag = 20_160;
const neverTaken = Number.MAX_SAFE_INTEGER;

export interface Arrival {
  readonly id: JobId;
  /** Tenant and priority. */
  readonly flow: string;
  readonly weight: number;
  readonly rows: number;
  readonly deadlineMs: number;
  readonly queueTimeoutMs: number;
  readonly attemptsMax: number;
}

export interface ModelJob extends Arrival {
  readonly seq: number;
  readonly enqueuedAtMs: number;
  readonly tag: number;
  /** The earliest tag of the job of its flow behind it. */
  readonly nextTag: number;
  /** The how manieth to be taken of all jobs, when it was taken first; null before. */
  takenAs: number | null;
  /** Claims that were not taken back. */
  attempt: number;
  workersLost: number;
  hasReturned: boolean;
  state: 'waiting' | 'active' | 'ended';
  /** It is claimed, or was when it ended. */
  isTaken: boolean;
}

interface ModelClaim {
  readonly id: JobId;
  readonly seq: number;
  readonly attempt: number;
  readonly isSuspect: boolean;
  readonly overtakenBy: number;
  /** It came before the next in turn because of its age. */
  readonly isAged: boolean;
}

export interface ModelClaimed {
  readonly claims: readonly ModelClaim[];
  /** Jobs that were met in their turn when their time had run out. */
  readonly late: readonly JobId[];
  readonly suspectAhead: boolean;
  readonly rowsWaiting: number;
}

export class ReferenceModel {
  readonly #jobs: ModelJob[] = [];
  #virtualTime = 0;
  #taken = 0;

  enqueue(arrival: Arrival, atMs: number): ModelJob {
    if (this.#jobs.some(({ id }) => id === arrival.id)) throw new Error(`${arrival.id} came twice`);
    // Jobs that ended without having been taken were no service: the flow is not charged for them.
    const charged = this.#jobs.filter(
      ({ flow, state, takenAs }) =>
        flow === arrival.flow && (takenAs !== null || state === 'waiting'),
    );
    const tag = Math.max(this.#virtualTime, ...charged.map(({ nextTag }) => nextTag));
    const step = Math.floor((arrival.rows * rowTag) / arrival.weight);
    const job: ModelJob = {
      ...arrival,
      seq: this.#jobs.length + 1,
      enqueuedAtMs: atMs,
      tag,
      nextTag: tag + Math.max(1, step),
      takenAs: null,
      attempt: 0,
      workersLost: 0,
      hasReturned: false,
      state: 'waiting',
      isTaken: false,
    };
    this.#jobs.push(job);
    return job;
  }

  claim(request: ClaimRequest, atMs: number): ModelClaimed {
    const claims: ModelClaim[] = [];
    const late: JobId[] = [];
    let rows = 0;
    let agedRows = 0;
    let suspectAhead = false;
    const rowsWaiting = sum(this.waiting().map((job) => job.rows));
    const isHeldBack =
      rowsWaiting < request.rowsMin && !this.waiting().some((job) => job.hasReturned);
    if (isHeldBack) return { claims, late, suspectAhead, rowsWaiting };
    for (;;) {
      const next = this.#next(request, agedRows, atMs);
      if (next === undefined) break;
      const { job, isAged } = next;
      if (isLate(job, atMs)) {
        end(job);
        late.push(job.id);
        continue;
      }
      const isSuspect = job.workersLost > 0;
      if (isSuspect && !request.takeSuspect) {
        suspectAhead = true;
        break;
      }
      if (claims.length > 0 && (isSuspect || rows + job.rows > request.rowsMax)) break;
      const overtakenBy = this.#overtakenBy(job);
      job.state = 'active';
      job.isTaken = true;
      job.attempt += 1;
      if (isAged) agedRows += job.rows;
      else if (!job.hasReturned) this.#virtualTime = Math.max(this.#virtualTime, job.tag + 1);
      job.takenAs ??= this.#taken += 1;
      rows += job.rows;
      const { id, seq, attempt } = job;
      claims.push({ id, seq, attempt, isSuspect, overtakenBy, isAged });
      if (isSuspect || rows >= request.rowsMax) break;
    }
    return { claims, late, suspectAhead, rowsWaiting: 0 };
  }

  settle(id: JobId): void {
    end(this.#in('active', id));
  }

  /** `asSuspect`: a run of it did not end. Otherwise the claim did not count. */
  giveBack(id: JobId, asSuspect: boolean): void {
    const job = this.#in('active', id);
    if (asSuspect) job.workersLost += 1;
    else job.attempt -= 1;
    this.#return(job);
  }

  /** The worker of the job is gone. */
  lose(id: JobId): 'returned' | 'failed' {
    const job = this.#in('active', id);
    if (job.attempt >= job.attemptsMax) {
      end(job);
      return 'failed';
    }
    job.workersLost += 1;
    this.#return(job);
    return 'returned';
  }

  cancel(id: JobId): void {
    end(this.#live(id));
  }

  expire(id: JobId, atMs: number): void {
    const job = this.#live(id);
    if (!isLate(job, atMs)) throw new Error(`${id} expired before its time`);
    end(job);
  }

  /**
   * In the order in which they would be taken if nobody else came and nobody were old: those that came
   * back in the order in which they were taken first, then the others by their tags.
   */
  waiting(): readonly ModelJob[] {
    return this.#jobs
      .filter((job) => job.state === 'waiting')
      .toSorted(
        (a, b) =>
          (a.takenAs ?? neverTaken) - (b.takenAs ?? neverTaken) ||
          a.tag - b.tag ||
          Buffer.compare(Buffer.from(a.id), Buffer.from(b.id)),
      );
  }

  get jobs(): readonly ModelJob[] {
    return this.#jobs;
  }

  job(id: JobId): ModelJob {
    const job = this.#jobs.find((each) => each.id === id);
    if (job === undefined) throw new Error(`${id} never came`);
    return job;
  }

  late(atMs: number): readonly ModelJob[] {
    return this.#jobs.filter((job) => job.state !== 'ended' && isLate(job, atMs));
  }

  #next(
    { rowsMax, agingMs }: ClaimRequest,
    agedRows: number,
    atMs: number,
  ): { readonly job: ModelJob; readonly isAged: boolean } | undefined {
    const waiting = this.waiting();
    const [inTurn] = waiting;
    const [elder] = waiting.toSorted((a, b) => a.seq - b.seq);
    if (inTurn === undefined || elder === undefined) return undefined;
    const isAged =
      new Set(waiting.map(({ flow }) => flow)).size > 1 &&
      agedRows < Math.max(1, Math.floor(rowsMax / 4)) &&
      !inTurn.hasReturned &&
      elder !== inTurn &&
      microseconds(atMs) - microseconds(elder.enqueuedAtMs) >= microseconds(agingMs);
    return { job: isAged ? elder : inTurn, isAged };
  }

  #overtakenBy(job: ModelJob): number {
    return this.#jobs.filter(
      (other) => other.flow === job.flow && other.seq > job.seq && other.isTaken,
    ).length;
  }

  #return(job: ModelJob): void {
    job.state = 'waiting';
    job.isTaken = false;
    job.hasReturned = true;
  }

  #live(id: JobId): ModelJob {
    const job = this.job(id);
    if (job.state === 'ended') throw new Error(`${id} ended twice`);
    return job;
  }

  #in(state: ModelJob['state'], id: JobId): ModelJob {
    const job = this.job(id);
    if (job.state !== state) throw new Error(`${id} is ${job.state}, not ${state}`);
    return job;
  }
}

function end(job: ModelJob): void {
  job.state = 'ended';
}

/** Deadlines are kept in whole milliseconds. */
function isLate(job: ModelJob, atMs: number): boolean {
  const allowedMs = job.attempt === 0 ? job.queueTimeoutMs : job.deadlineMs;
  return Math.floor(atMs) >= Math.floor(job.enqueuedAtMs) + allowedMs;
}

/** Instants of the durable queue are microseconds, handed out as milliseconds. */
function microseconds(ms: number): number {
  return Math.round(ms * 1_000);
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, each) => total + each, 0);
}
