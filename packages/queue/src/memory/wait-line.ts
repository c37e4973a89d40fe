/** The waiting jobs of a class, and whose turn it is. The rules of the order are in ../rules.ts. */
import type { JobEnvelope, Priority } from '@inferry/contracts';
import type { FlowStats } from '../reports.ts';
import type { QueueRules } from '../rules.ts';
import { Arrivals } from './arrivals.ts';
import type { Job } from './job.ts';
import { SortedList } from './sorted-list.ts';

/** The jobs of one tenant and priority. */
export interface Flow {
  readonly tenant: string;
  readonly priority: Priority;
  readonly arrivals: Arrivals;
  /** The earliest tag behind those of its jobs that were taken. */
  takenUntilTag: number;
  /** Jobs that arrived so far: the next one's number is one more. */
  arrived: number;
  /** Jobs that left the line so far, returned ones subtracted. */
  left: number;
  /** Rows of its jobs that were taken, each job once. */
  takenRows: number;
  /** Those that wait, in order of arrival. */
  readonly waiting: SortedList<Job>;
  /** Numbers of jobs that ended while they waited, as long as an older job lives: they overtook nobody. */
  skipped: number[];
}

/** A job's place in the order, given when it arrives. */
export interface Place {
  readonly flow: Flow;
  /** Its number in its flow, from 1. */
  readonly number: number;
  readonly tag: number;
  /** The earliest tag of the job of its flow behind it. */
  readonly nextTag: number;
}

/** Tags of arrivals are 0 or more, those of jobs that were taken are less: they go before all others. */
const takenTag = -(2 ** 52);

const byArrival = (a: Job, b: Job): number => a.seq - b.seq;

export class WaitLine {
  readonly #rules: QueueRules;
  readonly #byTurn = new SortedList<Job>((a, b) => a.tag - b.tag || compareIds(a, b));
  readonly #byAge = new SortedList<Job>(byArrival);
  readonly #flows = new Map<string, Flow>();
  readonly #jobsOfTenant = new Map<string, number>();
  #flowsWaiting = 0;
  #virtualTime = 0;
  #taken = 0;
  #rows = 0;
  #bytes = 0;

  constructor(rules: QueueRules) {
    this.#rules = rules;
  }

  get jobs(): number {
    return this.#byTurn.length;
  }

  get rows(): number {
    return this.#rows;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** Jobs of more than one flow wait. */
  get isMixed(): boolean {
    return this.#flowsWaiting > 1;
  }

  /** Where service is, in virtual time: the tag of a job whose flow has nothing to wait for. */
  get virtualTime(): number {
    return this.#virtualTime;
  }

  /** The job in turn. */
  get first(): Job | undefined {
    return this.#byTurn.first;
  }

  get oldest(): Job | undefined {
    return this.#byAge.first;
  }

  /** The oldest of a priority. */
  oldestOf(priority: Priority): Job | undefined {
    const oldest = [...this.#flows.values()].flatMap((flow) =>
      flow.priority === priority ? (flow.waiting.first ?? []) : [],
    );
    return oldest.toSorted(byArrival)[0];
  }

  /** Flows of which jobs wait or were taken. */
  get flows(): readonly FlowStats[] {
    return [...this.#flows.values()]
      .map(({ priority, takenRows, tenant, waiting }) => {
        return { tenant, priority, waiting: waiting.length, takenRows };
      })
      .filter(({ takenRows, waiting }) => waiting > 0 || takenRows > 0);
  }

  /** Tenants with jobs waiting. */
  get tenants(): number {
    return this.#jobsOfTenant.size;
  }

  jobsOf(tenant: string): number {
    return this.#jobsOfTenant.get(tenant) ?? 0;
  }

  /**
   * The tag that a job of the flow would get now: behind those of its jobs that were taken or still wait.
   * What jobs were charged that ended before they were taken is given back once none waits behind them.
   */
  tagOf(job: Pick<JobEnvelope, 'tenant' | 'priority'>): number {
    const flow = this.#flows.get(keyOf(job));
    const flowTag = Math.max(flow?.takenUntilTag ?? 0, flow?.waiting.last?.nextTag ?? 0);
    return this.#rules.startTag(this.#virtualTime, flowTag);
  }

  /** Mean time between two rows of the job's flow, ms; null while nothing is known. */
  rowEveryMsOf(job: Pick<JobEnvelope, 'tenant' | 'priority'>): number | null {
    return this.#flows.get(keyOf(job))?.arrivals.rowEveryMs ?? null;
  }

  /** Jobs that would go before one that arrives now and gets `tag`. */
  aheadOf(tag: number): number {
    return this.#byTurn.countWhile((job) => job.tag <= tag);
  }

  /** Jobs before a waiting one. */
  rankOf(job: Job): number {
    return this.#byTurn.rankOf(job);
  }

  /** Rows of the first `ahead` jobs: exact for all of them, else their share of what waits. */
  rowsOfFirst(ahead: number): number {
    if (ahead === this.jobs) return this.#rows;
    return Math.floor((ahead * this.#rows) / this.jobs + 0.5);
  }

  /** Gives the next place of its flow to a job that arrives; {@link add} puts the job there. */
  arrive(
    job: Pick<JobEnvelope, 'tenant' | 'priority' | 'rows'>,
    weight: number,
    atMs: number,
  ): Place {
    const tag = this.tagOf(job);
    const flow = this.#flowOf(job);
    flow.arrived += 1;
    flow.arrivals.note(atMs, job.rows);
    const nextTag = this.#rules.nextTag(tag, job.rows, weight);
    return { flow, number: flow.arrived, tag, nextTag };
  }

  add(job: Job): void {
    this.#byTurn.add(job);
    this.#byAge.add(job);
    job.flow.waiting.add(job);
    if (job.flow.waiting.length === 1) this.#flowsWaiting += 1;
    this.#count(job, 1);
  }

  /**
   * The oldest job, where it goes before the one in turn: several flows wait, it arrived at `bornByMs` or
   * before, and nobody came back.
   */
  elder(bornByMs: number): Job | undefined {
    const { first, oldest } = this;
    if (!this.isMixed || first === oldest || first?.wasTaken === true) return undefined;
    return oldest !== undefined && oldest.enqueuedAtMs <= bornByMs ? oldest : undefined;
  }

  /**
   * The job, which is in turn or the {@link elder}, leaves to be run. Jobs that come back have the order
   * in which they were taken first: within a flow that is order of arrival, also where one was taken for
   * its age, before virtual time had got to its tag.
   */
  take(job: Job): void {
    const isInTurn = job === this.first;
    this.#leave(job);
    if (job.wasTaken) return;
    if (isInTurn) this.#virtualTime = this.#rules.timeAfter(this.#virtualTime, job.tag);
    job.flow.takenUntilTag = Math.max(job.flow.takenUntilTag, job.nextTag);
    job.flow.takenRows += job.envelope.rows;
    this.#taken += 1;
    job.tag = takenTag + this.#taken;
    job.wasTaken = true;
  }

  /** A job that was taken comes back, before all that never left. */
  restore(job: Job): void {
    job.flow.left -= 1;
    this.add(job);
  }

  /** The job ends where it stands. */
  drop(job: Job): void {
    this.#leave(job);
    job.flow.skipped.push(job.number);
  }

  /** Later jobs of its flow that were taken before this one, the first of its flow. */
  overtakenBy({ flow, number }: Job): number {
    const left = flow.left - (number - 1);
    return left === 0 ? 0 : left - flow.skipped.filter((other) => other > number).length;
  }

  /** Lets go of what is known of jobs that are over; `live` are all jobs that are not. */
  prune(live: Iterable<Job>): void {
    const oldest = new Map<Flow, number>();
    for (const { flow, number } of live) {
      oldest.set(flow, Math.min(number, oldest.get(flow) ?? Infinity));
    }
    for (const flow of this.#flows.values()) {
      const least = oldest.get(flow) ?? Infinity;
      flow.skipped = flow.skipped.filter((number) => number > least);
    }
  }

  #leave(job: Job): void {
    this.#byTurn.remove(job);
    this.#byAge.remove(job);
    job.flow.waiting.remove(job);
    if (job.flow.waiting.length === 0) this.#flowsWaiting -= 1;
    this.#count(job, -1);
    job.flow.left += 1;
  }

  #count(job: Job, sign: 1 | -1): void {
    const { tenant } = job.flow;
    const jobs = this.jobsOf(tenant) + sign;
    if (jobs === 0) this.#jobsOfTenant.delete(tenant);
    else this.#jobsOfTenant.set(tenant, jobs);
    this.#rows += sign * job.envelope.rows;
    this.#bytes += sign * job.payload.length;
  }

  #flowOf(job: Pick<JobEnvelope, 'tenant' | 'priority'>): Flow {
    const key = keyOf(job);
    let flow = this.#flows.get(key);
    if (flow === undefined) {
      flow = {
        tenant: job.tenant,
        priority: job.priority,
        arrivals: new Arrivals(),
        takenUntilTag: 0,
        arrived: 0,
        left: 0,
        takenRows: 0,
        waiting: new SortedList(byArrival),
        skipped: [],
      };
      this.#flows.set(key, flow);
    }
    return flow;
  }
}

function keyOf({ tenant, priority }: Pick<JobEnvelope, 'tenant' | 'priority'>): string {
  return `${tenant}/${priority}`;
}

/** Ids are ASCII: this is the order of their bytes. */
function compareIds(a: Job, b: Job): number {
  if (a.envelope.id === b.envelope.id) return 0;
  return a.envelope.id < b.envelope.id ? -1 : 1;
}
