/** The model repository as a role follows it: by its files, by SIGHUP, and with its problems as a metric. */
import type { Repository } from '@inferry/models';
import type { GatewayMetrics, WorkerMetrics } from '@inferry/telemetry';
import type { Config } from '../config.ts';
import { type RepositoryWatch, watchRepository } from './repository-watch.ts';
import type { RoleDeps } from './role.ts';

export interface WatchModelsOptions {
  /** As it was read at the start. */
  readonly repository: Repository;
  /** The models that the role knows; null for all. */
  readonly only: Config['only'];
  readonly metrics: Pick<GatewayMetrics | WorkerMetrics, 'repositoryProblems'>;
}

export function watchModels(
  { modelsDir, modelsPollMs: pollMs }: Config,
  { clock, logger, onReread, syncModels }: RoleDeps,
  { metrics, only, repository }: WatchModelsOptions,
): RepositoryWatch {
  const watch = watchRepository({ modelsDir, only, repository, pollMs, clock, logger });
  const tell = ({ problems }: Repository): void =>
    metrics.repositoryProblems.set({}, problems.length);
  tell(repository);
  watch.events.on('changed', tell);
  const reread = async (): Promise<Repository> => {
    await syncModels?.();
    return watch.reread();
  };
  const forget = onReread?.(() => {
    logger.info({ directory: modelsDir }, 'SIGHUP: reading the model repository again');
    reread().catch((cause: unknown) => {
      logger.error({ directory: modelsDir, err: cause }, 'the model repository cannot be read');
    });
  });
  return {
    ...watch,
    reread,
    stop() {
      forget?.();
      watch.stop();
    },
  };
}
