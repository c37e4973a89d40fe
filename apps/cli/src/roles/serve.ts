/** Gateway and worker in one process, on the queue in memory, or in Redis where one is configured. */
import type { Gateway } from '@inferry/gateway';
import { err, ok, sleep } from '@inferry/runtime';
import { createMetrics } from '@inferry/telemetry';
import type { Worker } from '@inferry/worker';
import type { Config } from '../config.ts';
import { greeting } from '../greeting.ts';
import { layFoundation } from './foundation.ts';
import { wireGateway } from './gateway.ts';
import { watchGpu } from './gpu.ts';
import { logFindings, readModels, unservable } from './models.ts';
import type { OpenParts } from './open-parts.ts';
import { openToCallers } from './ports.ts';
import { watchFitness } from './queue.ts';
import type { RoleDeps, StartRole } from './role.ts';
import { watchModels } from './watch-models.ts';
import { buildInfo, wireWorker, workerReadiness } from './worker.ts';
import { WorkerModels } from './worker-models.ts';

/** The gateway answers waiting requests first; the rest of the time to drain is the worker's. */
const gatewayDrainShare = 0.25;

/** Models are warm before the HTTP port opens, so that what is printed works when it is printed. */
export const startServe: StartRole = async (config, deps) => {
  const models = await readModels(config);
  if (!models.ok) return models;
  logFindings(models.value, deps.logger);
  const repository = models.value;
  const nobodys = config.redisUrl === null ? unservable(repository.models, config.device) : [];
  if (nobodys.length > 0) return err(nobodys);
  const metrics = createMetrics('all', buildInfo(deps), deps.clock, config.metricsFormat);
  const { opened, parts, openOperatorsPort } = await layFoundation(config, deps, metrics);
  parts.add('GPU metrics', watchGpu(config, deps, metrics));
  parts.add('fitness watch', watchFitness(opened.queue, { ...deps, metrics }));
  const { only } = config;
  const watch = watchModels(config, deps, { repository, only, metrics });
  parts.add('repository watch', watch.stop);
  const served = await WorkerModels.open({ ...deps, ...opened, watch, only });
  const shared = { ...opened, wanted: served.wanted(), watch, metrics };
  const drainMs = config.limits.drainMs * (1 - gatewayDrainShare);
  const worker = wireWorker(config, deps, { ...shared, limits: { ...config.limits, drainMs } });
  const gateway = wireGateway(config, deps, shared);
  const metricsPort = await openOperatorsPort(() =>
    worker.isReady ? gateway.readiness() : workerReadiness(worker),
  );
  if (!metricsPort.ok) {
    await parts.close();
    return metricsPort;
  }
  const started = await worker.start();
  if (!started.ok) {
    await parts.close();
    return err([started.error.detail]);
  }
  parts.add('worker', () => worker.close());
  parts.add('changes of models', served.follow(worker, started.value));
  const called = await openToCallers(gateway, config, deps.logger);
  parts.add('gateway', () => gateway.close());
  if (!called.ok) {
    await parts.close();
    return called;
  }
  const ports = { ...called.value, metricsPort: metricsPort.value };
  const { host, modelsDir } = config;
  const isQueueInMemory = config.redisUrl === null;
  deps.print(greeting({ ...ports, host, modelsDir, models: repository.models, isQueueInMemory }));
  return ok({ ...ports, drain: () => drain(config, deps, { gateway, worker, parts }) });
};

async function drain(
  config: Config,
  { clock }: RoleDeps,
  {
    gateway,
    worker,
    parts,
  }: { readonly gateway: Gateway; readonly worker: Worker; readonly parts: OpenParts },
): Promise<void> {
  const answered = new AbortController();
  const gatewayDrained = gateway.drain().finally(() => answered.abort());
  // A body that is still being received must not use up the worker's time.
  await sleep(clock, config.limits.drainMs * gatewayDrainShare, answered.signal);
  await worker.drain();
  await gatewayDrained;
  await parts.close();
}
