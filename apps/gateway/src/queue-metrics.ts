/**
 * The state of the queues as metrics. Every gateway sees the same queues and tells the same of them, also
 * beside no worker at all: what scales workers from zero reads it here.
 */
import { type ClassId, type Limits, priorities } from '@inferry/contracts';
import type { GatewayMetrics } from '@inferry/telemetry';

import type { QueueLooks, QueueSight } from './queue-looks.ts';

/**
 * A look that lies further back says nothing of now. Longer than a failover of Redis takes, so that alerts do
 * not begin anew with each.
 */
const staleMs = 60_000;

/** Exports what `looks` see, as of a second before a scrape; while they fail, what they saw last, for a minute. */
export function collectQueueMetrics(
  metrics: GatewayMetrics,
  { looks, limits }: { readonly looks: QueueLooks; readonly limits: Limits },
): void {
  let told: ReadonlySet<ClassId> = new Set();
  looks.events.on('looked', (sights) => {
    const seen = new Set(sights.map(({ stats }) => stats.class));
    for (const queue of told) if (!seen.has(queue)) metrics.forgetQueue(queue);
    for (const sight of sights) tell(metrics, sight, limits);
    told = seen;
  });
  metrics.onCollect(async () => {
    // Other gateways may see the queues, and of all the largest value counts.
    if (looks.ageMs > staleMs) for (const queue of told) hide(metrics, queue);
    await looks.recent();
  });
}

function tell(metrics: GatewayMetrics, sight: QueueSight, limits: Limits): void {
  const { fairness, manifest, newGivenBack, newRows, stats, trafficShare } = sight;
  const queue = stats.class;
  metrics.declareModel(manifest.name, queue);
  const depthMax = Math.min(manifest.queueDepthMax, limits.queueDepthPerClassMax);
  metrics.queueLimitJobs.set({ queue }, depthMax);
  metrics.queueJobs.set({ queue, state: 'waiting' }, stats.waiting);
  metrics.queueJobs.set({ queue, state: 'active' }, stats.active);
  metrics.queueBytes.set({ queue, kind: 'payload' }, stats.waitingBytes);
  metrics.queueBytes.set({ queue, kind: 'result' }, stats.resultBytes);
  for (const priority of priorities) {
    const ageMs = stats.oldestAgeMsByPriority[priority];
    metrics.queueOldestJobAge.set({ queue, priority }, ageMs / 1_000);
  }
  const targetWaitMs = manifest.admission.budgetMs ?? limits.targetWaitMs;
  metrics.queueTargetWait.set({ queue }, targetWaitMs / 1_000);
  const rowWorkSeconds = (stats.rowWorkMs ?? limits.rowWorkMsPrior) / 1_000;
  metrics.queueRowWork.set({ queue }, rowWorkSeconds);
  metrics.queueBacklogWork.set({ queue }, stats.waitingRows * rowWorkSeconds);
  metrics.queueWorkers.set({ queue }, stats.workers);
  metrics.trafficShare.set({ queue }, trafficShare);
  metrics.queueArrivedRows.add({ queue }, newRows);
  metrics.queueGivenBackJobs.add({ queue }, newGivenBack);
  metrics.tenantsActive.set({ queue }, stats.tenantsWaiting);
  metrics.fairnessIndex.set({ queue }, fairness.index);
  metrics.tenantShareMax.set({ queue }, fairness.shareMax);
}

/** The class cannot be seen: its last state must not look like its present one. */
function hide(metrics: GatewayMetrics, queue: ClassId): void {
  for (const state of ['waiting', 'active'] as const) metrics.queueJobs.remove({ queue, state });
  for (const kind of ['payload', 'result'] as const) metrics.queueBytes.remove({ queue, kind });
  for (const priority of priorities) metrics.queueOldestJobAge.remove({ queue, priority });
  metrics.queueLimitJobs.remove({ queue });
  metrics.queueTargetWait.remove({ queue });
  metrics.queueRowWork.remove({ queue });
  metrics.queueBacklogWork.remove({ queue });
  metrics.queueWorkers.remove({ queue });
  metrics.trafficShare.remove({ queue });
  metrics.tenantsActive.remove({ queue });
  metrics.fairnessIndex.remove({ queue });
  metrics.tenantShareMax.remove({ queue });
}
