/**
 * `inferry autoscale`: looks at the queue every second and starts or drains worker processes on this machine.
 * What it cannot see it does not act on: while the queue is away, everything stays as it is.
 */
import { availableParallelism } from 'node:os';
import { classOf, type ClassId, type ModelManifest } from '@inferry/contracts';
import { createBullmqQueue, type JobQueue } from '@inferry/queue';
import { type Clock, every, invariant } from '@inferry/runtime';
import type { LogFields, Logger } from '@inferry/telemetry';
import { readModels } from '../roles/models.ts';
import { firstConnection } from '../roles/queue.ts';
import { type StopSignal, type Supervisor, unusableExitCode } from '../supervisor.ts';
import { type Advice, adviceFor } from './advice.ts';
import { DemandMeter, type Measured } from './demand-meter.ts';
import type { AutoscaleOptions } from './options.ts';
import { type Decision, ScaleDecider } from './scale-decider.ts';
import { WorkerPool } from './worker-pool.ts';

export interface AutoscaleDeps {
  readonly clock: Clock;
  readonly logger: Logger;
  /** Names this process in the queue. */
  readonly processId: string;
  /** Starts a worker under supervision; calls back each time that it has become ready. */
  readonly startWorker: (onReady: () => void) => Supervisor;
  /** Calls back for every stop signal; returns the function that stops listening. */
  readonly onStopSignals: (listener: (signal: StopSignal) => void) => () => void;
}

const lookEveryMs = 1_000;
/** A queue that answers within this time is waited for, so that a start beside a live Redis is a quiet one. */
const firstConnectMsMax = 1_000;
/** After a worker that could not start as configured, so long until the next is tried, and twice as long each time. */
const retryFirstMs = 5_000;
const retryMaxMs = 60_000;

/** Runs until it is asked to stop and all workers have ended. 0: drained; 1: not well; 2: not usable as configured. */
export async function autoscale(options: AutoscaleOptions, deps: AutoscaleDeps): Promise<number> {
  const { clock, logger, processId } = deps;
  const { worker } = options;
  const models = await readModels(worker);
  if (!models.ok) {
    for (const problem of models.error) logger.fatal({}, problem);
    return unusableExitCode;
  }
  warnOfCores(options, models.value.models, logger);
  const { redisPrefix: prefix, redisUrl: url } = worker;
  invariant(url !== null, 'a worker has a Redis');
  const queue = createBullmqQueue({ url, prefix, clock, processId });
  await firstConnection(queue, clock, firstConnectMsMax);
  const classes = models.value.models.map(({ name, version }) => classOf(name, version));
  const autoscaler = new Autoscaler(options, { ...deps, queue }, classes);
  const forget = deps.onStopSignals((signal) => autoscaler.stop(signal));
  const code = await autoscaler.run();
  forget();
  await queue.close();
  return code;
}

type LookDeps = AutoscaleDeps & { readonly queue: Pick<JobQueue, 'stats'> };

class Autoscaler {
  readonly #options: AutoscaleOptions;
  readonly #deps: LookDeps;
  readonly #classes: readonly ClassId[];
  readonly #pool: WorkerPool;
  readonly #meter: DemandMeter;
  readonly #decider: ScaleDecider;
  #stopLooking: () => void = () => undefined;
  #finish: (code: number) => void = () => undefined;
  #isStopping = false;
  #isQueueAway = false;
  #hasBeenReady = false;
  #retryAtMs = 0;
  #retryMs = retryFirstMs;

  constructor(options: AutoscaleOptions, deps: LookDeps, classes: readonly ClassId[]) {
    this.#options = options;
    this.#deps = deps;
    this.#classes = classes;
    this.#meter = new DemandMeter(options.windowMs);
    this.#decider = new ScaleDecider({ ...options, ...options.policy }, deps.clock.nowMs());
    this.#pool = new WorkerPool({
      start: deps.startWorker,
      onReady: () => this.#onReady(),
      onGone: (code) => this.#onGone(code),
    });
  }

  async run(): Promise<number> {
    const { clock, logger } = this.#deps;
    const { policy, stabilizationMs, cooldownMs } = this.#options;
    const fields = { queues: this.#classes, min: policy.min, max: policy.max };
    const times = { stabilization_ms: stabilizationMs, cooldown_ms: cooldownMs };
    logger.info({ ...fields, ...times }, 'autoscaling');
    const finished = new Promise<number>((resolve) => {
      this.#finish = resolve;
    });
    this.#pool.resize(policy.min);
    this.#stopLooking = every(clock, lookEveryMs, () => this.#look());
    const code = await finished;
    const workers = await this.#pool.ended();
    logger.info({}, 'every worker has ended');
    return code === 0 && workers !== 0 ? 1 : code;
  }

  /** Drains every worker; the second signal ends them. */
  stop(signal: StopSignal): void {
    this.#deps.logger.info({ reason: signal, workers: this.#pool.workers }, 'draining all workers');
    this.#end(0, signal);
  }

  #end(code: number, signal: StopSignal): void {
    this.#isStopping = true;
    this.#stopLooking();
    this.#pool.stop(signal);
    this.#finish(code);
  }

  async #look(): Promise<void> {
    const { clock, queue } = this.#deps;
    try {
      const queues = await queue.stats(this.#classes);
      this.#told();
      this.#act(this.#meter.measure({ atMs: clock.nowMs(), queues }));
    } catch (cause) {
      this.#missed(cause);
    }
  }

  #act({ queues, isActive }: Measured): void {
    if (this.#isStopping) return;
    const nowMs = this.#deps.clock.nowMs();
    const advice = adviceFor(queues, this.#options.policy);
    const { draining, workers } = this.#pool;
    const look = { nowMs, wanted: advice.workers, isActive, workers, draining };
    const decision = this.#decider.decide(look);
    this.#tell(advice, decision, { workers, draining });
    if (decision.target > workers && nowMs < this.#retryAtMs) return;
    this.#pool.resize(decision.target);
  }

  #tell(advice: Advice, { cause, target }: Decision, now: LogFields & { workers: number }): void {
    const { logger } = this.#deps;
    const fields = {
      ...now,
      target,
      cause,
      wanted: advice.workers,
      reason: advice.reason,
      backlog_s: rounded(advice.backlogSeconds),
      load: rounded(advice.loadWorkers),
      for_backlog: advice.forBacklog,
      for_load: advice.forLoad,
    };
    if (target > now.workers) logger.info(fields, 'starting workers');
    else if (target < now.workers) logger.info(fields, 'draining workers');
    else logger.debug(fields, 'looked');
  }

  #missed(cause: unknown): void {
    if (this.#isStopping) return;
    this.#decider.missed(this.#deps.clock.nowMs(), this.#pool.workers);
    if (this.#isQueueAway) return;
    this.#isQueueAway = true;
    const { workers } = this.#pool;
    this.#deps.logger.warn(
      { workers, err: cause },
      'the queue does not tell what waits; the number of workers stays',
    );
  }

  #told(): void {
    if (!this.#isQueueAway) return;
    this.#isQueueAway = false;
    this.#deps.logger.info({ workers: this.#pool.workers }, 'the queue tells again what waits');
  }

  #onReady(): void {
    this.#hasBeenReady = true;
    this.#retryMs = retryFirstMs;
  }

  /** It ended without being asked: somebody else drained it, or it cannot start as configured. */
  #onGone(code: number): void {
    if (this.#isStopping) return;
    const { clock, logger } = this.#deps;
    if (code !== unusableExitCode) {
      logger.warn({ code, workers: this.#pool.workers }, 'a worker ended by itself');
      return;
    }
    if (!this.#hasBeenReady) {
      logger.fatal({ code }, 'workers cannot start as configured');
      this.#end(unusableExitCode, 'SIGTERM');
      return;
    }
    this.#retryAtMs = clock.nowMs() + this.#retryMs;
    const fields = { code, workers: this.#pool.workers, retry_in_ms: this.#retryMs };
    logger.error(fields, 'a worker cannot start as configured');
    this.#retryMs = Math.min(this.#retryMs * 2, retryMaxMs);
  }
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

function rounded(value: number): number {
  return Math.round(value * 1_000) / 1_000;
}
