/** The life of a role's process: start, wait for the wish to stop, drain in bounded time. */
import { type Clock, sleep } from '@inferry/runtime';
import type { Config } from './config.ts';
import { describeConfig } from './config.ts';
import type { StopRequest } from './own-process.ts';
import type { RoleDeps, StartRole } from './roles/role.ts';
import { unusableExitCode } from './supervisor.ts';

/** Beyond the time to drain, for closing what is open. */
export const drainGraceMs = 5_000;

export interface RunRoleOptions {
  readonly config: Config;
  readonly deps: RoleDeps;
  readonly stop: StopRequest;
  /** Told once, when the role is ready. */
  readonly onReady: (ports: { readonly http: number | null; readonly metrics: number }) => void;
}

/**
 * Runs a role until it is asked to stop; resolves with the exit code: 0 after a drain, 2 when it cannot
 * start as configured, 1 when it did not drain in time or not well.
 */
export async function runRole(start: StartRole, options: RunRoleOptions): Promise<number> {
  const { config, deps, stop } = options;
  const { logger } = deps;
  logger.info({ config: describeConfig(config), version: deps.version }, 'configuration');
  const starting = start(config, { ...deps, stopping: stop.requested });
  const first = await Promise.race([starting, stop.requested]);
  if (typeof first !== 'string') {
    if (!first.ok) {
      for (const problem of first.error) logger.fatal({}, problem);
      return unusableExitCode;
    }
    const { httpPort, grpcPort, metricsPort } = first.value;
    const ports = { http_port: httpPort, grpc_port: grpcPort, metrics_port: metricsPort };
    logger.info(ports, 'ready');
    options.onReady({ http: httpPort, metrics: metricsPort });
  }
  const reason = await stop.requested;
  logger.info({ reason, drain_ms: config.limits.drainMs }, 'draining');
  const drained = await withinMs(deps.clock, config.limits.drainMs + drainGraceMs, async () => {
    // A start that is under way is waited for: a model's warm-up run cannot be broken off.
    const started = await starting;
    if (started.ok) await started.value.drain();
  });
  switch (drained.result) {
    case 'done':
      logger.info({}, 'drained');
      return 0;
    case 'failed':
      logger.error({ err: drained.cause }, 'draining failed');
      return 1;
    case 'late':
      logger.fatal({}, 'draining took too long; what is unfinished returns to the queue');
      // Not an orderly exit: that would wait for a run that may never return.
      deps.kill();
      return 1;
  }
}

type Drained = { readonly result: 'done' | 'late' } | { readonly result: 'failed'; cause: unknown };

async function withinMs(clock: Clock, ms: number, work: () => Promise<void>): Promise<Drained> {
  const over = new AbortController();
  const late = sleep(clock, ms, over.signal).then((): Drained => ({ result: 'late' }));
  const done = work().then(
    (): Drained => ({ result: 'done' }),
    (cause: unknown): Drained => ({ result: 'failed', cause }),
  );
  const drained = await Promise.race([done, late]);
  over.abort();
  return drained;
}
