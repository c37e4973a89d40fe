/**
 * What a class has done since it exists, as counts and sums. Every process counts what it does by itself and
 * adds it now and then, so that a job costs the queue nothing more; one that is killed loses what it had not
 * added yet.
 */
import type { ClassId } from '@inferry/contracts';
import { invariant } from '@inferry/runtime';
import type { SweptJob } from './reports.ts';

/** Why a job did not succeed: it never ran, its owner ended it, its run failed, anything else. */
export const lossReasons = ['rejected', 'canceled', 'backend', 'other'] as const;
export type LossReason = (typeof lossReasons)[number];

/** Times are of jobs that succeeded, each job with the whole time of its batch; in whole microseconds. */
const jobCounters = [
  /** Jobs that succeeded, and the rows of them. */
  'succeeded',
  'rows',
  /** From the request's headers to the outcome stored. */
  'wholeUs',
  /** Until its run began, preparing left out. */
  'queueUs',
  'inputUs',
  'inferUs',
  'outputUs',
  /** Runs of the model that returned. */
  'runs',
  /** Requests that were answered with what a gateway had kept, which counts as succeeded, and what finding it took. */
  'cacheHits',
  'cacheHitUs',
  /** Those whose answer could have been kept and was not there; looking, and keeping it then. */
  'cacheMisses',
  'cacheMissUs',
] as const;
type Counter = (typeof jobCounters)[number] | `${LossReason}${'Jobs' | 'Us'}`;

/** Of runs with so many rows: each run once. */
const runCounters = ['runs', 'inputUs', 'inferUs', 'outputUs'] as const;
export type RunCounter = (typeof runCounters)[number];
type RunCounterField = `${number}:${RunCounter}`;

/** Counters by name, those that are 0 may be absent. `2:runs` counts runs of two rows. */
export type Counters = Readonly<Partial<Record<Counter, number>> & Record<RunCounterField, number>>;

export interface ClassStatistics {
  readonly counters: Counters;
  /** When the last job succeeded, on the queue's clock; 0 before the first. */
  readonly lastAtMs: number;
}

export const noStatistics: ClassStatistics = { counters: {}, lastAtMs: 0 };

export interface StatisticsStore {
  /**
   * Adds to the statistics of a class. Of a call that throws nobody knows whether it was added: made again,
   * it may count twice.
   */
  addStatistics(cls: ClassId, more: ClassStatistics): Promise<void>;

  /** What all processes added since the classes exist, in the order asked for; less only when the queue's memory is lost. */
  statistics(classes: readonly ClassId[]): Promise<readonly ClassStatistics[]>;
}

export function addUp(one: ClassStatistics, other: ClassStatistics): ClassStatistics {
  const counters: Record<string, number> = { ...one.counters };
  for (const [name, by] of Object.entries(other.counters)) {
    counters[name] = (counters[name] ?? 0) + by;
  }
  return { counters, lastAtMs: Math.max(one.lastAtMs, other.lastAtMs) };
}

/** Counters of runs by their rows, in ascending order. */
export function runsByRows(
  counters: Counters,
): readonly (Readonly<Record<RunCounter, number>> & { readonly rows: number })[] {
  const sizes = Object.keys(counters).flatMap((name) => /^(\d+):runs$/u.exec(name)?.[1] ?? []);
  const of = (rows: number, name: RunCounter): number => counters[`${rows}:${name}`] ?? 0;
  return sizes
    .map(Number)
    .toSorted((a, b) => a - b)
    .map((rows) => ({
      rows,
      runs: of(rows, 'runs'),
      inputUs: of(rows, 'inputUs'),
      inferUs: of(rows, 'inferUs'),
      outputUs: of(rows, 'outputUs'),
    }));
}

/** What this process counted and has not added yet. Bounded by the classes and their batch sizes. */
export class StatisticsTally {
  readonly #store: StatisticsStore;
  readonly #pending = new Map<ClassId, ClassStatistics>();
  /** Never rejects. */
  #flushing: Promise<void> = Promise.resolve();

  constructor(store: StatisticsStore) {
    this.#store = store;
  }

  /** Fractions are rounded when they are added. */
  count(cls: ClassId, counters: Counters, lastAtMs = 0): void {
    const pending = this.#pending.get(cls) ?? noStatistics;
    this.#pending.set(cls, addUp(pending, { counters, lastAtMs }));
  }

  /** Jobs that did not succeed; `us`: from their acceptance to their end, of all of them, where it is known. */
  lost(cls: ClassId, reason: LossReason, jobs: number, us = 0): void {
    if (jobs > 0) this.count(cls, { [`${reason}Jobs`]: jobs, [`${reason}Us`]: us });
  }

  /** Jobs that a sweep, a claim or a look ended; nobody knows how long they had been there. */
  swept(cls: ClassId, jobs: readonly Pick<SweptJob, 'status'>[]): void {
    const expired = jobs.filter(({ status }) => status === 'expired').length;
    this.lost(cls, 'rejected', expired);
    this.lost(cls, 'other', jobs.length - expired);
  }

  /** Adds what was counted so far. Throws when the queue is away: the counts are kept for the next call. */
  flush(): Promise<void> {
    if (this.#pending.size === 0) return this.#flushing;
    const flushing = this.#flushing.then(() => this.#flush());
    this.#flushing = flushing.catch(() => undefined);
    return flushing;
  }

  async #flush(): Promise<void> {
    for (const [cls, { counters, lastAtMs }] of this.#pending) {
      this.#pending.delete(cls);
      const whole = Object.entries(counters).map(([name, by]) => [name, Math.round(by)] as const);
      const kept = {
        counters: Object.fromEntries(whole.filter(([, by]) => by > 0)),
        lastAtMs: Math.round(lastAtMs),
      };
      try {
        await this.#store.addStatistics(cls, kept);
      } catch (cause) {
        this.#pending.set(cls, addUp(this.#pending.get(cls) ?? noStatistics, kept));
        throw cause;
      }
    }
  }
}

/** A bug of the caller is not to end up in the sums of all. */
export function checkStatistics({ counters, lastAtMs }: ClassStatistics): void {
  for (const [name, by] of Object.entries({ ...counters, lastAtMs })) {
    invariant(Number.isSafeInteger(by) && by >= 0, `${name} is a whole number, and not below 0`);
  }
}
