/**
 * How many workers a group needs: enough to keep up with what arrives, and to work off what waits in time.
 * The same arithmetic stands in PromQL in the autoscaling rules. Pure.
 */
import { invariant } from '@inferry/runtime';

/**
 * What is asked of a worker group, summed over the queues of its models: every worker of a group serves all
 * of them.
 */
export interface Demand {
  /** Rows that wait, each times what it takes of one worker, s: so long one worker alone would need. */
  readonly backlogSeconds: number;
  /** Rows that arrive a second, each times what it takes of one worker, s: so many workers they keep busy. */
  readonly loadWorkers: number;
}

export interface ScalePolicy {
  /** Fewest workers, a whole number, 0 or more; 0 lets the group end when there is nothing to do. */
  readonly min: number;
  /** Most workers, a whole number, at least `min`. */
  readonly max: number;
  /** In which what waits is to be worked off, s, more than 0; 30 where none is given. */
  readonly drainTargetSeconds?: number;
  /** Share of its time that a worker is meant to be busy, above 0 and at most 1; 0.7 where none is given. */
  readonly utilization?: number;
}

/** Values that suit most; the alerts and the autoscaling rules use the same. */
const defaults = { drainTargetSeconds: 30, utilization: 0.7 };

/**
 * Workers that a group should have: the larger of the two needs, rounded up, within `min` and `max`. Any
 * backlog and any load ask for at least one. Throws where a value is not in its range: a demand that nobody
 * could measure must not look like none.
 */
export function desiredWorkers(
  { backlogSeconds, loadWorkers }: Demand,
  { drainTargetSeconds, max, min, utilization }: ScalePolicy,
): number {
  const drainSeconds = drainTargetSeconds ?? defaults.drainTargetSeconds;
  const busy = utilization ?? defaults.utilization;
  invariant(backlogSeconds >= 0, `backlogSeconds is 0 or more, and not ${backlogSeconds}`);
  invariant(loadWorkers >= 0, `loadWorkers is 0 or more, and not ${loadWorkers}`);
  invariant(drainSeconds > 0, `drainTargetSeconds is more than 0, and not ${drainSeconds}`);
  invariant(busy > 0 && busy <= 1, `utilization is above 0 and at most 1, and not ${busy}`);
  invariant(Number.isInteger(min) && min >= 0, `min is a whole number, 0 or more, and not ${min}`);
  invariant(Number.isInteger(max) && max >= min, `max is a whole number from ${min}, not ${max}`);
  const wanted = Math.max(Math.ceil(backlogSeconds / drainSeconds), Math.ceil(loadWorkers / busy));
  return Math.min(Math.max(wanted, min), max);
}
