/** What has become of a job, for a caller that asks. A look that ends a job, because its time is over, is counted. */
import { type JobId, partsOf } from '@inferry/contracts';
import type { JobQueue } from '@inferry/queue';

import type { GatewayTelemetry } from '../telemetry.ts';

/** Like {@link JobQueue.find}. */
export async function lookUp(
  id: JobId,
  { queue, telemetry }: { readonly queue: JobQueue; readonly telemetry: GatewayTelemetry },
): ReturnType<JobQueue['find']> {
  const found = await queue.find(id);
  if (found.ok && found.value.found === 'record' && found.value.endedNow === true) {
    const { class: cls, priority } = found.value.record.job;
    telemetry.swept(partsOf(cls).model, { returned: 0, failed: [], expired: [priority] });
  }
  return found;
}
