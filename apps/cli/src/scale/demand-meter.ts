/** From what the queue tells, at two instants, to the work that waits and arrives. Pure: readings come with their time. */
import { defaultLimits } from '@inferry/contracts';
import type { ClassStats } from '@inferry/queue';
import type { QueueDemand } from './advice.ts';

export interface Reading {
  readonly atMs: number;
  readonly queues: readonly Pick<
    ClassStats,
    'class' | 'waiting' | 'active' | 'waitingRows' | 'arrivedRows' | 'rowWorkMs'
  >[];
}

export interface Measured {
  readonly queues: readonly QueueDemand[];
  /** Something waits, runs, or arrived since the last reading. */
  readonly isActive: boolean;
}

/** Of fewer seconds a burst looks like a load that stays. */
const spanMsMin = 10_000;

/**
 * The load is the mean over the last `windowMs`. Before there is as much, it is that over what there is, or over
 * 10 s; 0 with one reading.
 */
export class DemandMeter {
  readonly #windowMs: number;
  /** In order of time: the youngest that is at least a window old, and all since. */
  readonly #readings: Reading[] = [];

  constructor(windowMs: number) {
    this.#windowMs = windowMs;
  }

  measure(reading: Reading): Measured {
    const last = this.#readings.at(-1);
    this.#readings.push(reading);
    const isEnough = (one: Reading | undefined): boolean =>
      one !== undefined && one.atMs <= reading.atMs - this.#windowMs;
    while (isEnough(this.#readings[1])) this.#readings.shift();
    const [first = reading] = this.#readings;
    const spanMs = Math.max(reading.atMs - first.atMs, Math.min(this.#windowMs, spanMsMin));
    const queues = reading.queues.map((queue) => {
      const rowSeconds = (queue.rowWorkMs ?? defaultLimits.rowWorkMsPrior) / 1_000;
      const rows = arrivedSince(this.#readings, queue);
      return {
        queue: queue.class,
        backlogSeconds: queue.waitingRows * rowSeconds,
        loadWorkers: (rows / (spanMs / 1_000)) * rowSeconds,
      };
    });
    const isActive = reading.queues.some(
      (queue) =>
        queue.waiting > 0 ||
        queue.active > 0 ||
        (last !== undefined && arrivedSince([last], queue) > 0),
    );
    return { queues, isActive };
  }
}

/**
 * A counter that went back began anew, where the queue was emptied, or lost the last second with a restart of
 * Redis: what was counted before must not look as if it came at once.
 */
function arrivedSince(
  before: readonly Reading[],
  { class: cls, arrivedRows }: Reading['queues'][number],
): number {
  // What came before a queue was looked at did not come now.
  const then =
    before.flatMap(({ queues }) => queues).find((queue) => queue.class === cls)?.arrivedRows ??
    arrivedRows;
  return arrivedRows >= then ? arrivedRows - then : Math.min(arrivedRows, then - arrivedRows);
}
