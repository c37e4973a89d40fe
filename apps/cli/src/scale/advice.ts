/** How many workers a demand asks for, and why: in numbers, as JSON and in words. Pure. */
import type { JsonObject } from '@inferry/contracts';
import { desiredWorkers } from '@inferry/scheduling';
import type { Policy } from './options.ts';

/** Work of one queue, in the time of one worker. */
export interface QueueDemand {
  /** The class, `model@version`. */
  readonly queue: string;
  /** Time one worker alone would need for what waits, s. */
  readonly backlogSeconds: number;
  /** Workers that what arrives keeps busy. */
  readonly loadWorkers: number;
}

/** Which of the two numbers decided, or which bound. */
type Reason = 'backlog' | 'load' | 'idle' | 'min' | 'max';

export interface Advice {
  readonly workers: number;
  readonly backlogSeconds: number;
  readonly loadWorkers: number;
  /** What each of the two asks for by itself, without bounds. */
  readonly forBacklog: number;
  readonly forLoad: number;
  readonly reason: Reason;
}

/** A worker serves all its models, so the work of its queues is added up. */
export function adviceFor(queues: readonly QueueDemand[], policy: Policy): Advice {
  const backlogSeconds = queues.reduce((sum, queue) => sum + queue.backlogSeconds, 0);
  const loadWorkers = queues.reduce((sum, queue) => sum + queue.loadWorkers, 0);
  const open = { ...policy, min: 0, max: Number.MAX_SAFE_INTEGER };
  const forBacklog = desiredWorkers({ backlogSeconds, loadWorkers: 0 }, open);
  const forLoad = desiredWorkers({ backlogSeconds: 0, loadWorkers }, open);
  const workers = desiredWorkers({ backlogSeconds, loadWorkers }, policy);
  const reason = reasonOf(workers, forBacklog, forLoad);
  return { workers, backlogSeconds, loadWorkers, forBacklog, forLoad, reason };
}

function reasonOf(workers: number, forBacklog: number, forLoad: number): Reason {
  const wanted = Math.max(forBacklog, forLoad);
  if (workers < wanted) return 'max';
  if (workers > wanted) return 'min';
  if (wanted === 0) return 'idle';
  return forBacklog >= forLoad ? 'backlog' : 'load';
}

export function adviceJson(
  advice: Advice,
  policy: Policy,
  queues: readonly QueueDemand[],
): JsonObject {
  return {
    workers: advice.workers,
    reason: advice.reason,
    backlog_seconds: advice.backlogSeconds,
    load_workers: advice.loadWorkers,
    workers_for_backlog: advice.forBacklog,
    workers_for_load: advice.forLoad,
    min: policy.min,
    max: policy.max,
    drain_target_seconds: policy.drainTargetSeconds,
    utilization: policy.utilization,
    queues: queues.map(({ queue, backlogSeconds, loadWorkers }) => ({
      queue,
      backlog_seconds: backlogSeconds,
      load_workers: loadWorkers,
    })),
  };
}

/** Lines for a reader. */
export function adviceText(advice: Advice, policy: Policy, queues: readonly QueueDemand[]): string {
  const { backlogSeconds, forBacklog, forLoad, loadWorkers } = advice;
  const names = queues.map(({ queue }) => queue).join(', ');
  return [
    `queues: ${names}`,
    `backlog: ${figure(backlogSeconds)} s of one worker's time wait; to be through in ${figure(policy.drainTargetSeconds)} s takes ${forBacklog}`,
    `load: what arrives keeps ${figure(loadWorkers)} workers busy; at ${figure(policy.utilization * 100)} % each that takes ${forLoad}`,
    because[advice.reason](advice.workers, policy),
  ]
    .map((line) => `${line}\n`)
    .join('');
}

const because: Readonly<Record<Reason, (workers: number, policy: Policy) => string>> = {
  backlog: (workers) => `${workers} wanted, for the backlog`,
  load: (workers) => `${workers} wanted, for the load`,
  idle: () => 'none wanted: nothing waits and nothing arrives',
  min: (workers) => `${workers} wanted: never fewer (--min)`,
  max: (workers) => `${workers} wanted: never more (--max)`,
};

function figure(value: number): string {
  return value.toLocaleString('en-US', { maximumSignificantDigits: 3 });
}
