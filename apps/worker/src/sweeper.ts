/** Looks for dead leases and passed deadlines of the classes served here. Any number of processes may. */
import { type ClassId, partsOf } from '@inferry/contracts';
import type { JobQueue, StatisticsTally } from '@inferry/queue';
import type { WorkerTelemetry } from './telemetry.ts';

/** One round over all classes; throws when the queue cannot be reached. */
export async function sweepClasses(
  queue: Pick<JobQueue, 'sweep'>,
  classes: readonly ClassId[],
  telemetry: WorkerTelemetry,
  statistics: StatisticsTally,
): Promise<void> {
  for (const cls of classes) {
    const { model } = partsOf(cls);
    const { expired, failed, returned } = await queue.sweep(cls);
    const stalled = returned.length + failed.length;
    if (stalled > 0) telemetry.jobsStalled(model, stalled);
    const ended = [...failed, ...expired];
    if (ended.length > 0) telemetry.jobsSwept(cls, ended);
    statistics.swept(cls, ended);
  }
}

/** The pause before the next round: `sweepMs` on average, spread so that processes do not sweep in step. */
export function sweepDelayMs(sweepMs: number, unit: number): number {
  return sweepMs * (0.5 + unit);
}
