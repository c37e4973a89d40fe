/** What every role stands on: the queue, its watch, runtime metrics, and the port for operators. */
import { err, ok, type Result } from '@inferry/runtime';
import {
  type GatewayMetrics,
  startMetricsServer,
  startRuntimeMetrics,
  type WorkerMetrics,
} from '@inferry/telemetry';
import type { Config } from '../config.ts';
import { OpenParts } from './open-parts.ts';
import { listening } from './ports.ts';
import { type OpenQueue, openQueue, watchQueue } from './queue.ts';
import type { RoleDeps } from './role.ts';

export interface Readiness {
  readonly ready: boolean;
  readonly reason?: string;
}

export interface Foundation {
  readonly opened: OpenQueue;
  /** Everything opened so far; whoever opens more adds it. */
  readonly parts: OpenParts;
  /** Serves /metrics and the probes; resolves with the port. A role without its queue is never ready. */
  readonly openOperatorsPort: (
    readiness: () => Readiness,
  ) => Promise<Result<number, readonly string[]>>;
}

const queueAway: Readiness = { ready: false, reason: 'the queue cannot be reached' };

/** Waits for the queue for a moment only: a role may start before it. */
export async function layFoundation(
  config: Config,
  deps: RoleDeps,
  metrics: GatewayMetrics | WorkerMetrics,
): Promise<Foundation> {
  const { clock, logger, tracing } = deps;
  const parts = new OpenParts(logger);
  // Closed last: what the others do while they close is traced too.
  if (tracing !== undefined) parts.add('tracing', () => tracing.close());
  const opened = openQueue(config, deps);
  parts.add('queue', () => opened.queue.close());
  const watch = await watchQueue(opened.queue, { clock, logger, metrics });
  parts.add('queue watch', watch.stop);
  const ping = (): Promise<number | undefined> => opened.queue.ping();
  parts.add('runtime metrics', startRuntimeMetrics({ clock, metrics, ping }));
  return {
    opened,
    parts,
    async openOperatorsPort(readiness) {
      const { host, metricsPort: port } = config;
      const readyz = (): Readiness => (watch.isReachable() ? readiness() : queueAway);
      const health = { livez: () => true, readyz };
      const server = await listening('METRICS_PORT', { host, port }, () =>
        startMetricsServer({ host, port, metrics, health }),
      );
      if (!server.ok) return err(server.error);
      parts.add('metrics server', () => server.value.close());
      return ok(server.value.port);
    },
  };
}
