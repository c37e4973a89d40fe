/** The HTTP side alone, on the queue in Redis. Loads no native code. */
import {
  collectQueueMetrics,
  createGateway,
  createGatewayTelemetry,
  type Gateway,
} from '@inferry/gateway';
import { ModelCatalogue, type Repository } from '@inferry/models';
import { err, ok } from '@inferry/runtime';
import {
  createMetrics,
  type GatewayMetrics,
  startMetricsServer,
  startRuntimeMetrics,
} from '@inferry/telemetry';
import type { Config } from '../config.ts';
import { readModels } from './models.ts';
import { OpenParts } from './open-parts.ts';
import { listening } from './ports.ts';
import { type OpenQueue, openQueue, watchQueue } from './queue.ts';
import type { RoleDeps, StartRole } from './role.ts';

/** Listens at once, also while Redis is away and no worker lives: then it says so and recovers by itself. */
export const startGateway: StartRole = async (config, deps) => {
  const models = await readModels({ modelsDir: config.modelsDir, only: null });
  if (!models.ok) return models;
  const { clock, logger, version } = deps;
  const parts = new OpenParts(logger);
  const metrics = createMetrics(
    'gateway',
    { version, revision: 'none', onnxruntime: 'none' },
    clock,
  );
  const opened = openQueue(config, deps);
  parts.add('queue', () => opened.queue.close());
  const watch = await watchQueue(opened.queue, { clock, logger, metrics });
  parts.add('queue watch', watch.stop);
  const ping = (): Promise<number | undefined> => opened.queue.ping();
  parts.add('runtime metrics', startRuntimeMetrics({ clock, metrics, ping }));
  const gateway = wireGateway(config, deps, { ...opened, repository: models.value, metrics });
  parts.add('gateway', () => gateway.close());
  const readyz = (): ReturnType<Gateway['readiness']> =>
    watch.isReachable() ? gateway.readiness() : queueAway;
  const { host, metricsPort } = config;
  const health = { livez: () => true, readyz };
  const operators = await listening('METRICS_PORT', { host, port: metricsPort }, () =>
    startMetricsServer({ host, port: metricsPort, metrics, health }),
  );
  if (!operators.ok) {
    await parts.close();
    return err(operators.error);
  }
  parts.add('metrics server', () => operators.value.close());
  const http = await listening('PORT', config, () => gateway.listen(config));
  if (!http.ok) {
    await parts.close();
    return err(http.error);
  }
  logger.info({ host, http_port: http.value.port }, 'listening');
  return ok({
    httpPort: http.value.port,
    metricsPort: operators.value.port,
    async drain() {
      await gateway.drain();
      await parts.close();
    },
  });
};

export const queueAway = { ready: false, reason: 'the queue cannot be reached' };

/** A gateway on an open queue; it does not listen yet. */
export function wireGateway(
  config: Config,
  { clock, random, logger, version }: RoleDeps,
  {
    queue,
    processId,
    repository,
    metrics,
  }: OpenQueue & { readonly repository: Repository; readonly metrics: GatewayMetrics },
): Gateway {
  const { limits, publicBaseUrl } = config;
  const catalogue = new ModelCatalogue();
  catalogue.replaceLocal(repository);
  collectQueueMetrics(metrics, { queue, catalogue, limits });
  return createGateway({
    queue,
    catalogue,
    clock,
    random,
    limits,
    telemetry: createGatewayTelemetry(metrics),
    log: logger,
    gatewayId: processId,
    version,
    ...(publicBaseUrl === null ? {} : { publicBaseUrl }),
  });
}
