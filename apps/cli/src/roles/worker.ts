/** The inference side alone, on the queue in Redis; one process a device. */
import { availableParallelism } from 'node:os';
import type { Limits } from '@inferry/contracts';
import { err, ok, sleep } from '@inferry/runtime';
import { createMetrics, type WorkerMetrics } from '@inferry/telemetry';
import {
  availableProviders,
  createBackend,
  createWorker,
  type WantedModels,
  type Worker,
} from '@inferry/worker';
import type { Config } from '../config.ts';
import { layFoundation, type Readiness } from './foundation.ts';
import { watchGpu } from './gpu.ts';
import { hardwareName } from './hardware.ts';
import { insteadOf, logFindings, readModels } from './models.ts';
import type { OpenQueue } from './queue.ts';
import type { RoleDeps, StartRole } from './role.ts';
import { watchModels } from './watch-models.ts';
import { WorkerModels } from './worker-models.ts';
import { createWorkerTelemetry } from './worker-telemetry.ts';

/** Ready once every model is warm. The port for operators answers before: loading may take minutes. */
export const startWorker: StartRole = async (config, deps) => {
  const models = await readModels(config);
  if (!models.ok) return models;
  logFindings(models.value, deps.logger);
  const metrics = createMetrics('worker', buildInfo(deps), deps.clock, config.metricsFormat);
  const { opened, parts, openOperatorsPort } = await layFoundation(config, deps, metrics);
  parts.add('GPU metrics', watchGpu(config, deps, metrics));
  const { limits, only } = config;
  const watch = watchModels(config, deps, { repository: models.value, only, metrics });
  parts.add('repository watch', watch.stop);
  const served = await WorkerModels.open({ ...deps, ...opened, watch, only });
  const wanted = served.wanted();
  const worker = wireWorker(config, deps, { ...opened, wanted, metrics, limits });
  const metricsPort = await openOperatorsPort(() => workerReadiness(worker));
  if (!metricsPort.ok) {
    await parts.close();
    return metricsPort;
  }
  const started = await worker.start();
  if (!started.ok) {
    await untilScraped(started.error.detail, config, deps);
    await parts.close();
    return err([started.error.detail]);
  }
  parts.add('worker', () => worker.close());
  parts.add('changes of models', served.follow(worker, started.value));
  return ok({
    httpPort: null,
    grpcPort: null,
    metricsPort: metricsPort.value,
    async drain() {
      await worker.drain();
      await parts.close();
    },
  });
};

/** Longer than metrics are usually scraped apart. */
const farewellScrapeMs = 20_000;

/** A process that ended at once would tell no scrape that its models cannot be loaded, however often it is restarted. */
async function untilScraped(
  problem: string,
  { metricsPort }: Config,
  { clock, logger, stopping }: RoleDeps,
): Promise<void> {
  // Nobody scrapes a port that is another one each time.
  if (metricsPort === 0) return;
  const seconds = farewellScrapeMs / 1_000;
  logger.error(
    { problem },
    `the worker cannot start; it ends in ${seconds} s, for a scrape to see why`,
  );
  const stopped = new AbortController();
  void stopping?.then(() => stopped.abort());
  await sleep(clock, farewellScrapeMs, stopped.signal);
}

export function workerReadiness(worker: Worker): Readiness {
  return worker.isReady
    ? { ready: true }
    : { ready: false, reason: `the worker is ${worker.state}` };
}

export function buildInfo({ version }: RoleDeps): Parameters<typeof createMetrics>[1] {
  return { version, revision: 'unknown', onnxruntime: availableProviders().version };
}

/** A worker on an open queue; it has loaded nothing yet. */
export function wireWorker(
  { concurrentRuns, device, jpegDecoder, modelsDir, preparationThreads, prepareIn }: Config,
  { clock, random, logger, kill, abort, pid, hostName, tracing }: RoleDeps,
  {
    queue,
    processId,
    payloadReaderOptions,
    wanted,
    metrics,
    limits,
  }: OpenQueue & {
    /** What it starts with. */
    readonly wanted: WantedModels;
    readonly metrics: WorkerMetrics;
    readonly limits: Limits;
  },
): Worker {
  return createWorker({
    queue,
    payloadReaderOptions,
    backend: createBackend({ clock, abort }),
    manifests: wanted.manifests,
    routing: wanted.routing,
    findInstead: (model, failed) => insteadOf(modelsDir, model, failed),
    device,
    hardware: hardwareName(device),
    cores: availableParallelism(),
    concurrentRuns,
    workerId: processId,
    host: hostName,
    pid,
    clock,
    random,
    limits,
    telemetry: createWorkerTelemetry(metrics),
    ...(tracing === undefined ? {} : { tracing }),
    logger,
    kill,
    preparationThreads,
    prepareIn,
    jpegDecoder,
  });
}
