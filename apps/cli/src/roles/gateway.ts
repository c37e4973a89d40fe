/** The side of the callers alone, on the queue in Redis. Loads no native code. */
import {
  collectQueueMetrics,
  type ControlSettings,
  createGateway,
  createGatewayTelemetry,
  exportTritonMetrics,
  FirstResponses,
  type Gateway,
  QueueLooks,
} from '@inferry/gateway';
import { ModelCatalogue } from '@inferry/models';
import { ok } from '@inferry/runtime';
import { createMetrics, type GatewayMetrics } from '@inferry/telemetry';
import type { Config } from '../config.ts';
import { isLoopback } from '../setting-parsers.ts';
import { layFoundation } from './foundation.ts';
import { logFindings, readModels } from './models.ts';
import { openToCallers } from './ports.ts';
import { type OpenQueue, watchFitness } from './queue.ts';
import type { RepositoryWatch } from './repository-watch.ts';
import type { RoleDeps, StartRole } from './role.ts';
import { watchModels } from './watch-models.ts';

/** Listens at once, also while Redis is away and no worker lives: then it says so and recovers by itself. */
export const startGateway: StartRole = async (config, deps) => {
  const models = await readModels({ modelsDir: config.modelsDir, only: null });
  if (!models.ok) return models;
  logFindings(models.value, deps.logger);
  const { clock, logger, version } = deps;
  const build = { version, revision: 'unknown', onnxruntime: 'none' };
  const metrics = createMetrics('gateway', build, clock, config.metricsFormat);
  const { opened, parts, openOperatorsPort } = await layFoundation(config, deps, metrics);
  parts.add('fitness watch', watchFitness(opened.queue, { clock, logger, metrics }));
  const watch = watchModels(config, deps, { repository: models.value, only: null, metrics });
  parts.add('repository watch', watch.stop);
  const gateway = wireGateway(config, deps, { ...opened, watch, metrics });
  parts.add('gateway', () => gateway.close());
  const metricsPort = await openOperatorsPort(() => gateway.readiness());
  if (!metricsPort.ok) {
    await parts.close();
    return metricsPort;
  }
  const ports = await openToCallers(gateway, config, logger);
  if (!ports.ok) {
    await parts.close();
    return ports;
  }
  return ok({
    ...ports.value,
    metricsPort: metricsPort.value,
    async drain() {
      await gateway.drain();
      await parts.close();
    },
  });
};

/** A gateway on an open queue, which follows the repository; it does not listen yet. */
export function wireGateway(
  config: Config,
  { clock, random, logger, tracing, version }: RoleDeps,
  {
    queue,
    processId,
    watch,
    metrics,
  }: OpenQueue & {
    readonly watch: Pick<RepositoryWatch, 'current' | 'events' | 'reread'>;
    readonly metrics: GatewayMetrics;
  },
): Gateway {
  const { compat, limits, publicBaseUrl, tenants } = config;
  const catalogue = new ModelCatalogue();
  catalogue.replaceLocal(watch.current());
  watch.events.on('changed', (repository) => catalogue.replaceLocal(repository));
  const named = tenants === null ? {} : { tenants };
  const looks = new QueueLooks({ queue, catalogue, clock, ...named });
  collectQueueMetrics(metrics, { looks, limits });
  const firstResponses = config.tritonMetrics ? new FirstResponses(catalogue) : undefined;
  if (firstResponses !== undefined) {
    exportTritonMetrics(metrics, { catalogue, firstResponses, looks, queue });
  }
  return createGateway({
    queue,
    looks,
    catalogue,
    clock,
    random,
    limits,
    telemetry: createGatewayTelemetry(metrics),
    log: logger,
    gatewayId: processId,
    version,
    compat,
    modelControl: controlOf(config),
    rereadModels: watch.reread,
    cacheBytesMax: config.responseCacheBytes,
    ...(firstResponses === undefined ? {} : { firstResponses }),
    ...(tracing === undefined ? {} : { tracing }),
    ...(publicBaseUrl === null ? {} : { publicBaseUrl }),
    ...named,
  });
}

/** Where callers are of this machine alone, they may load and unload models unless it is set otherwise. */
function controlOf({ host, modelControl, modelLoadMs }: Config): ControlSettings {
  const isAllowed = modelControl === 'auto' ? isLoopback(host) : modelControl === 'on';
  return { isAllowed, waitMs: modelLoadMs };
}
