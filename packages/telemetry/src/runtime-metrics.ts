/** What a process can say about itself without being asked: its event loop, its way to the queue. */
import { type Clock, every } from '@inferry/runtime';
import type { GatewayMetrics, WorkerMetrics } from './metrics.ts';

export interface RuntimeMetricsOptions {
  readonly clock: Clock;
  readonly metrics: Pick<
    GatewayMetrics | WorkerMetrics,
    'eventLoopLag' | 'eventLoopUtilization' | 'redisRtt'
  >;
  /** Round trip to the queue in ms, or undefined when it cannot be reached. */
  readonly ping: () => Promise<number | undefined>;
}

const lagPeriodMs = 20;
/** A minute of timers. */
const missedMax = 3_000;
const utilizationPeriodMs = 1_000;
const pingPeriodMs = 5_000;

/** Starts observing; the returned function stops it. */
export function startRuntimeMetrics(options: RuntimeMetricsOptions): () => void {
  const { clock, metrics, ping } = options;
  let busySince = performance.eventLoopUtilization();
  const stops = [
    observeLag(clock, (lagMs) => metrics.eventLoopLag.observe({}, lagMs / 1_000)),
    every(clock, utilizationPeriodMs, () => {
      const now = performance.eventLoopUtilization();
      const { utilization } = performance.eventLoopUtilization(now, busySince);
      busySince = now;
      metrics.eventLoopUtilization.set({}, utilization);
    }),
    every(clock, pingPeriodMs, async () => {
      const rttMs = await ping().catch(() => undefined);
      if (rttMs !== undefined) metrics.redisRtt.observe({}, rttMs / 1_000);
    }),
  ];
  return () => stops.forEach((stop) => stop());
}

/**
 * Tells how late each of a row of timers is, in ms: those too that were due while the loop was held up, or one
 * hold-up of ten seconds would count as one timer of hundreds.
 */
function observeLag(clock: Clock, observe: (lagMs: number) => void): () => void {
  let cancel: (() => void) | undefined;
  const arm = (dueAtMs: number): void => {
    cancel = clock.after(Math.max(0, dueAtMs - clock.nowMs()), () => {
      const lagMs = Math.max(0, clock.nowMs() - dueAtMs);
      // Of a process that was stopped for long, the last of them are enough.
      const missed = Math.min(Math.floor(lagMs / lagPeriodMs), missedMax);
      for (let i = 0; i <= missed; i += 1) observe(lagMs - i * lagPeriodMs);
      arm(Math.max(dueAtMs + (missed + 1) * lagPeriodMs, clock.nowMs()));
    });
  };
  arm(clock.nowMs() + lagPeriodMs);
  return () => cancel?.();
}
