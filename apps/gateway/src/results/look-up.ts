/**
 * What has become of a job, for a caller that asks, and its end before its time. A call that ends a job is
 * counted, as nobody else sees that end.
 */
import type { JobId } from '@inferry/contracts';
import type { JobQueue, StatisticsTally } from '@inferry/queue';

import type { GatewayTelemetry } from '../telemetry.ts';

interface LookUpDeps {
  readonly queue: JobQueue;
  readonly telemetry: GatewayTelemetry;
  readonly statistics: StatisticsTally;
}

/** Like {@link JobQueue.find}. */
export async function lookUp(
  id: JobId,
  { queue, statistics, telemetry }: LookUpDeps,
): ReturnType<JobQueue['find']> {
  const found = await queue.find(id);
  if (found.ok && found.value.found === 'record' && found.value.endedNow === true) {
    const { job, outcome } = found.value.record;
    const { class: cls, priority } = job;
    if (outcome !== null) {
      telemetry.swept(cls, [{ priority, status: outcome.status }]);
      statistics.lost(cls, outcome.status === 'expired' ? 'rejected' : 'other', 1);
    }
  }
  return found;
}

/** Like {@link JobQueue.cancel}; `by`: whose wish it is. */
export async function cancelCounted(
  id: JobId,
  { by, detail }: { readonly by: 'caller' | 'server'; readonly detail: string },
  { queue, statistics, telemetry }: LookUpDeps,
): ReturnType<JobQueue['cancel']> {
  const found = await queue.cancel(id, detail);
  if (found.ok && found.value.found === 'record' && found.value.endedNow === true) {
    const { class: cls, priority } = found.value.record.job;
    telemetry.canceled(cls, priority, by);
    statistics.lost(cls, 'canceled', 1);
  }
  return found;
}
