/** What a worker tells about itself, as the metrics of the catalogue. */
import { partsOf } from '@inferry/contracts';
import type { WorkerTelemetry } from '@inferry/worker';
import type { WorkerMetrics } from '@inferry/telemetry';
import { LoadedSeries } from './loaded-series.ts';

const states = ['warming', 'serving', 'draining'] as const;

export function createWorkerTelemetry(metrics: WorkerMetrics): WorkerTelemetry {
  const ended: WorkerTelemetry['settled'] = (queue, priority, outcome) => {
    metrics.requests.add({ model: partsOf(queue).model, priority, outcome });
    metrics.versionRequests.add({ queue, outcome });
  };
  const loaded = new LoadedSeries(metrics);
  return {
    modelDeclared(model, classId, rowsMax) {
      loaded.declare(model, classId);
      metrics.batchSizeLimit.set({ model }, rowsMax);
    },
    modelLoadPhase: (model, phase, seconds) => metrics.modelLoad.observe({ model, phase }, seconds),
    modelLoadFailed: (model) => metrics.modelLoadFailures.add({ model }),
    modelLoaded: (model, version, ran) => loaded.add(model, version, ran),
    modelUnloaded: (model, version) => loaded.remove(model, version),
    modelReloaded: (model, result) => metrics.modelReloads.add({ model, result }),
    preparation: (model, where, jpegDecoder) =>
      loaded.prepare({ model, where, jpeg_decoder: jpegDecoder }),
    state(state) {
      for (const known of states)
        metrics.workerState.set({ state: known }, state === known ? 1 : 0);
      metrics.workerReady.set({}, state === 'serving' ? 1 : 0);
    },

    slots: (runs) => metrics.workerSlots.set({}, runs),

    jobStarted: (model) => metrics.jobsStarted.add({ model }),
    overtaken(model, distance) {
      metrics.overtakenJobs.add({ model });
      metrics.overtakenDistance.observe({}, distance);
    },
    retried: (model, reason) => metrics.jobRetries.add({ model, reason }),
    inFlight: (model, jobs) => metrics.workerJobsInFlight.set({ model }, jobs),

    batchLimited: (model, rowsMax) => metrics.batchSizeLimit.set({ model }, rowsMax),
    released: (model, reason) => metrics.batchReleases.add({ model, reason }),
    batchRan(model, rows, computeSeconds, { useful, padding }) {
      metrics.batchSize.observe({ model }, rows);
      metrics.batchCompute.observe({ model }, computeSeconds);
      metrics.batchElements.add({ model, kind: 'useful' }, useful);
      if (padding > 0) metrics.batchElements.add({ model, kind: 'padding' }, padding);
    },
    busy: (model, seconds) => metrics.workerBusy.add({ model }, seconds),
    isolated: (model, kind) =>
      metrics.batchIsolations.add({ model, kind: kind === 'bisect' ? 'bisect' : 'solo' }),
    latencyRatio: (model, ratio) => metrics.latencyRatio.observe({ model }, ratio),
    waitBound: (model, ratio) => metrics.waitBoundRatio.observe({ model }, ratio),
    promiseEnded(model, errorSeconds, isMissed) {
      const direction = errorSeconds > 0 ? 'under' : 'over';
      metrics.promiseError.observe({ model, direction }, Math.abs(errorSeconds));
      if (isMissed) metrics.promisesMissed.add({ model });
    },

    stage: (model, stage, seconds, traceId) =>
      metrics.stageDuration.observe({ model, stage }, seconds, traceId),
    endToEnd: (model, priority, seconds, traceId) =>
      metrics.requestDuration.observe({ model, priority }, seconds, traceId),
    settled: ended,
    late: (model, priority) => metrics.lateRequests.add({ model, priority }),
    resultDropped: (model) => metrics.duplicateResults.add({ model }),

    leasesNotRenewed: (model, leases) => metrics.lockRenewalFailures.add({ model }, leases),
    jobsStalled: (model, jobs) => metrics.jobsStalled.add({ model }, jobs),
    jobsSwept(cls, jobs) {
      for (const { priority, status } of jobs) ended(cls, priority, status);
    },
    clockClamped: (stage) => metrics.clockClamped.add({ stage }),
    clockOffset: (seconds) => metrics.clockOffset.set({}, seconds),
    abandoned: (jobs) => metrics.shutdownAbandonedJobs.add({}, jobs),
  };
}
