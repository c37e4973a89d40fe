/** What a number of requests came to, in bounded memory; tallies of several windows can be put together. */
import { Durations } from '@inferry/telemetry';
import type { Ending } from './exchange.ts';

/** A request that was due. */
export interface Sample extends Pick<
  Ending,
  'status' | 'code' | 'isSuccess' | 'stages' | 'batchRows' | 'overtakenBy'
> {
  /** From the instant it was due to its end, and to its sending (0 in a closed loop); null: never sent. */
  readonly latencyMs: number | null;
  readonly lateMs: number | null;
}

/** How requests ended, by status and code. */
export interface Outcome {
  readonly status: number | null;
  readonly code: string | null;
  requests: number;
  /** Of those that were sent. */
  readonly latency: Durations;
}

/** Names that a server may make up; what comes beyond is counted under the last. */
const namesMax = 32;
const others = 'others';

export class Tally {
  /** Of the requests that succeeded. */
  readonly latency = new Durations();
  readonly lateness = new Durations();
  readonly stages = new Map<string, Durations>();
  readonly outcomes = new Map<string, Outcome>();
  /** Requests that have ended, or could not be sent. */
  requests = 0;
  /** Requests that came due in this time; they may end in a later one. */
  due = 0;
  /** Rows that ran together, and how often it was told. */
  batchRows = { sum: 0, count: 0, max: 0 };
  /** Later jobs that were claimed earlier, summed up; null where nothing was told. */
  overtakes: number | null = null;

  add(sample: Sample): void {
    const { latencyMs, lateMs, batchRows, overtakenBy } = sample;
    const outcome = this.#outcome(sample.status, sample.code);
    this.requests += 1;
    outcome.requests += 1;
    if (latencyMs !== null) outcome.latency.add(latencyMs);
    if (latencyMs !== null && sample.isSuccess) this.latency.add(latencyMs);
    if (lateMs !== null) this.lateness.add(lateMs);
    for (const [name, ms] of sample.stages) this.#stage(name).add(ms);
    if (batchRows !== null) this.#addRows(batchRows, 1, batchRows);
    if (overtakenBy !== null) this.overtakes = (this.overtakes ?? 0) + overtakenBy;
  }

  merge(other: Tally): void {
    this.requests += other.requests;
    this.due += other.due;
    this.latency.merge(other.latency);
    this.lateness.merge(other.lateness);
    for (const { status, code, requests, latency } of other.outcomes.values()) {
      const outcome = this.#outcome(status, code);
      outcome.requests += requests;
      outcome.latency.merge(latency);
    }
    for (const [name, durations] of other.stages) this.#stage(name).merge(durations);
    this.#addRows(other.batchRows.sum, other.batchRows.count, other.batchRows.max);
    if (other.overtakes !== null) this.overtakes = (this.overtakes ?? 0) + other.overtakes;
  }

  get succeeded(): number {
    return this.latency.count;
  }

  get errors(): number {
    return this.requests - this.succeeded;
  }

  #addRows(sum: number, count: number, max: number): void {
    const rows = this.batchRows;
    this.batchRows = {
      sum: rows.sum + sum,
      count: rows.count + count,
      max: Math.max(rows.max, max),
    };
  }

  #outcome(status: number | null, code: string | null): Outcome {
    const key = `${status} ${code}`;
    const found = this.outcomes.get(key);
    if (found !== undefined) return found;
    if (this.outcomes.size >= namesMax && code !== others) return this.#outcome(null, others);
    const outcome = { status, code, requests: 0, latency: new Durations() };
    this.outcomes.set(key, outcome);
    return outcome;
  }

  #stage(name: string): Durations {
    const found = this.stages.get(name);
    if (found !== undefined) return found;
    if (this.stages.size >= namesMax && name !== others) return this.#stage(others);
    const durations = new Durations();
    this.stages.set(name, durations);
    return durations;
  }
}
