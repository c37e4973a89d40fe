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

/** Tells how late each of a row of timers fired, in ms. */
function observeLag(clock: Clock, observe: (lagMs: number) => void): () => void {
  let cancel: (() => void) | undefined;
  const arm = (): void => {
    const dueAtMs = clock.nowMs() + lagPeriodMs;
    cancel = clock.after(lagPeriodMs, () => {
      observe(Math.max(0, clock.nowMs() - dueAtMs));
      arm();
    });
  };
  arm();
  return () => cancel?.();
}
