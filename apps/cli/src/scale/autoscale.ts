/** `inferry autoscale`: worker processes on this machine, as many as the queue needs. */
import { availableParallelism } from 'node:os';
import { type ClassId, classOf, type ModelManifest } from '@inferry/contracts';
import type { Repository } from '@inferry/models';
import { createBullmqQueue } from '@inferry/queue';
import { invariant } from '@inferry/runtime';
import type { Logger } from '@inferry/telemetry';
import { isServable, readModels } from '../roles/models.ts';
import { firstConnection } from '../roles/queue.ts';
import { watchRepository } from '../roles/repository-watch.ts';
import { type StopSignal, unusableExitCode } from '../supervisor.ts';
import { Autoscaler, type AutoscalerDeps } from './autoscaler.ts';
import type { AutoscaleOptions } from './options.ts';

export interface AutoscaleDeps extends Omit<AutoscalerDeps, 'queue'> {
  /** Names this process in the queue. */
  readonly processId: string;
  /** Calls back for every stop signal; returns the function that stops listening. */
  readonly onStopSignals: (listener: (signal: StopSignal) => void) => () => void;
  /** Calls back when files are to be read again; returns the function that stops listening. */
  readonly onReread: (listener: () => void) => () => void;
}

/** A queue that answers within this time is waited for, so that a start beside a live Redis is a quiet one. */
const firstConnectMsMax = 1_000;

/** Runs until it is asked to stop and all workers have ended. 0: drained; 1: not well; 2: not usable as configured. */
export async function autoscale(options: AutoscaleOptions, deps: AutoscaleDeps): Promise<number> {
  const { clock, logger, processId } = deps;
  const { worker } = options;
  const models = await readModels(worker);
  if (!models.ok) {
    for (const problem of models.error) logger.fatal({}, problem);
    return unusableExitCode;
  }
  const served = servedBy(worker, models.value);
  if (served.length === 0) {
    logger.fatal({}, `No model has instances for ${worker.device.kind}:${worker.device.index}.`);
    return unusableExitCode;
  }
  warnOfCores(options, served, logger);
  warnOfBudgets(options, served, logger);
  const { redisPrefix: prefix, redisUrl: url } = worker;
  invariant(url !== null, 'a worker has a Redis');
  const queue = createBullmqQueue({ url, prefix, clock, processId });
  await firstConnection(queue, clock, firstConnectMsMax);
  const autoscaler = new Autoscaler(options, { ...deps, queue }, classesOf(served));
  const { modelsDir, modelsPollMs: pollMs, only } = worker;
  const repository = models.value;
  const watch = watchRepository({ modelsDir, only, repository, pollMs, clock, logger });
  const forget = [
    watch.stop,
    watch.events.on('changed', (changed) => autoscaler.serve(classesOf(servedBy(worker, changed)))),
    deps.onStopSignals((signal) => autoscaler.stop(signal)),
    deps.onReread(() => {
      autoscaler.reread();
      void watch.reread();
    }),
  ];
  const code = await autoscaler.run();
  for (const listening of forget) listening();
  await queue.close();
  return code;
}

/** Workers of a device leave the models of others alone: their backlog is nothing to these. */
function servedBy(
  { device }: AutoscaleOptions['worker'],
  { models }: Pick<Repository, 'models'>,
): readonly ModelManifest[] {
  return models.filter((model) => isServable(model, device));
}

function classesOf(models: readonly ModelManifest[]): readonly ClassId[] {
  return models.map(({ name, version }) => classOf(name, version));
}

/** Workers beyond the cores wait for each other, where the models compute on them. */
function warnOfCores(
  { policy, worker }: AutoscaleOptions,
  models: readonly ModelManifest[],
  logger: Logger,
): void {
  const cores = availableParallelism();
  const computes = models.some(({ backend }) => backend !== 'simulated');
  if (worker.device.kind !== 'cpu' || !computes || policy.max <= cores) return;
  logger.warn(
    { max: policy.max, cores },
    'more workers than cores: on a CPU they share the cores, and get slower instead of more',
  );
}

/** Admission by target refuses while no worker lives, and what is refused waits nowhere. */
function warnOfBudgets(
  { policy }: AutoscaleOptions,
  models: readonly ModelManifest[],
  logger: Logger,
): void {
  const refusing = models.filter(({ admission }) => admission.mode === 'target');
  if (policy.min > 0 || refusing.length === 0) return;
  logger.warn(
    { models: refusing.map(({ name, version }) => classOf(name, version)) },
    'without a worker, held requests to models with a budget are refused, and wake none: --min 1 keeps one',
  );
}
