/** Looks for dead leases and passed deadlines of the classes served here. Any number of processes may. */
import { type ClassId, partsOf, type Priority } from '@inferry/contracts';
import type { JobQueue, SweptJob } from '@inferry/queue';
import type { WorkerTelemetry } from './telemetry.ts';

/** One round over all classes; throws when the queue cannot be reached. */
export async function sweepClasses(
  queue: Pick<JobQueue, 'sweep'>,
  classes: readonly ClassId[],
  telemetry: WorkerTelemetry,
): Promise<void> {
  for (const cls of classes) {
    const { model } = partsOf(cls);
    const { expired, failed, returned } = await queue.sweep(cls);
    if (returned.length > 0) telemetry.jobsReturned(model, returned.length);
    if (failed.length > 0) telemetry.jobsSwept(model, 'failed', prioritiesOf(failed));
    if (expired.length > 0) telemetry.jobsSwept(model, 'expired', prioritiesOf(expired));
  }
}

function prioritiesOf(jobs: readonly SweptJob[]): readonly Priority[] {
  return jobs.map(({ priority }) => priority);
}

/** The pause before the next round: `sweepMs` on average, spread so that processes do not sweep in step. */
export function sweepDelayMs(sweepMs: number, unit: number): number {
  return sweepMs * (0.5 + unit);
}
