/**
 * The loop of `inferry autoscale`: looks every second, decides, and starts or drains workers. What it cannot see
 * it does not act on: while the queue is away, everything stays as it is.
 */
import { type ClassId, classOf, partsOf, type WorkerAnnouncement } from '@inferry/contracts';
import type { ClassStats, JobQueue } from '@inferry/queue';
import { type Clock, err, every, ok } from '@inferry/runtime';
import type { LogFields, Logger } from '@inferry/telemetry';
import type { Supervised } from '../own-process.ts';
import { type StopSignal, unusableExitCode } from '../supervisor.ts';
import { type Advice, adviceFor } from './advice.ts';
import { DemandMeter, type Measured } from './demand-meter.ts';
import type { AutoscaleOptions } from './options.ts';
import { ScaleDecider } from './scale-decider.ts';
import { WorkerPool } from './worker-pool.ts';

export interface AutoscalerDeps {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly queue: Pick<JobQueue, 'stats' | 'workers'>;
  /** Starts a worker under supervision; calls back each time that it has become ready. */
  readonly startWorker: (onReady: () => void) => Supervised;
}

const lookEveryMs = 1_000;
/** After a worker that could not start as configured, so long until the next is tried, and twice as long each time. */
const retryFirstMs = 5_000;
const retryMaxMs = 60_000;

type Options = Omit<AutoscaleOptions, 'worker'>;

export class Autoscaler {
  readonly #options: Options;
  readonly #deps: AutoscalerDeps;
  /** Those that are served, and those that were, while jobs are left in them. */
  #classes: ReadonlySet<ClassId>;
  #served: ReadonlySet<ClassId>;
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

  constructor(options: Options, deps: AutoscalerDeps, classes: readonly ClassId[]) {
    this.#options = options;
    this.#deps = deps;
    this.#served = new Set(classes);
    this.#classes = this.#served;
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
    const fields = { queues: [...this.#classes], min: policy.min, max: policy.max };
    const times = { stabilization_ms: stabilizationMs, cooldown_ms: cooldownMs };
    logger.info({ ...fields, ...times }, 'autoscaling');
    const finished = new Promise<number>((resolve) => {
      this.#finish = resolve;
    });
    this.#pool.resize(policy.min);
    await this.#look();
    if (!this.#isStopping) this.#stopLooking = every(clock, lookEveryMs, () => this.#look());
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

  /** What the workers serve from now on. */
  serve(classes: readonly ClassId[]): void {
    this.#served = new Set(classes);
    this.#classes = new Set([...this.#classes, ...classes]);
    this.#deps.logger.info({ queues: classes }, 'autoscaling for other models');
  }

  /** Tells every worker to read its files again. */
  reread(): void {
    this.#pool.reread();
  }

  #end(code: number, signal: StopSignal): void {
    this.#isStopping = true;
    this.#stopLooking();
    this.#pool.stop(signal);
    this.#finish(code);
  }

  async #look(): Promise<void> {
    const { clock } = this.#deps;
    const told = await this.#see().then(ok, (cause: unknown) => err(cause));
    if (this.#isStopping) return;
    if (!told.ok) return this.#missed(told.error);
    this.#noteBack();
    const isLeft = new Set(
      told.value.filter(({ active, waiting }) => active + waiting > 0).map((one) => one.class),
    );
    const classes = [...this.#classes].filter((cls) => this.#served.has(cls) || isLeft.has(cls));
    this.#classes = new Set(classes);
    this.#act(this.#meter.measure({ atMs: clock.nowMs(), queues: told.value }));
  }

  /** Also of versions that workers have kept: those of the repository may be broken. */
  async #see(): Promise<readonly ClassStats[]> {
    const { queue } = this.#deps;
    const kept = keptOf(await queue.workers(), this.#served);
    this.#classes = new Set([...this.#classes, ...kept]);
    return queue.stats([...this.#classes]);
  }

  #act({ queues, isActive }: Measured): void {
    const nowMs = this.#deps.clock.nowMs();
    const advice = adviceFor(queues, this.#options.policy);
    const { draining, workers } = this.#pool;
    const look = { nowMs, wanted: advice.workers, isActive, workers, draining };
    const decision = this.#decider.decide(look);
    const mustWait = decision.target > workers && nowMs < this.#retryAtMs;
    const { cause, target } = mustWait ? { cause: 'retry', target: workers } : decision;
    this.#tell(advice, { workers, draining, target, cause });
    this.#pool.resize(target);
  }

  #tell(advice: Advice, change: LogFields & Record<'workers' | 'target', number>): void {
    const { logger } = this.#deps;
    const fields = {
      ...change,
      wanted: advice.workers,
      reason: advice.reason,
      backlog_s: rounded(advice.backlogSeconds),
      load: rounded(advice.loadWorkers),
      for_backlog: advice.forBacklog,
      for_load: advice.forLoad,
    };
    if (change.target > change.workers) logger.info(fields, 'starting workers');
    else if (change.target < change.workers) logger.info(fields, 'draining workers');
    else logger.debug(fields, 'looked');
  }

  #missed(cause: unknown): void {
    this.#decider.missed(this.#deps.clock.nowMs(), this.#pool.workers);
    if (this.#isQueueAway) return;
    this.#isQueueAway = true;
    const { workers } = this.#pool;
    this.#deps.logger.warn(
      { workers, err: cause },
      'the queue does not tell what waits; the number of workers stays',
    );
  }

  #noteBack(): void {
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

function rounded(value: number): number {
  return Math.round(value * 1_000) / 1_000;
}

/** Versions of the models served that some worker has, and does not give up. */
function keptOf(
  workers: readonly WorkerAnnouncement[],
  served: ReadonlySet<ClassId>,
): readonly ClassId[] {
  const names = new Set([...served].map((cls) => partsOf(cls).model));
  return workers.flatMap(({ models }) =>
    models
      .filter(({ manifest, state }) => state === 'ready' && names.has(manifest.name))
      .map(({ manifest }) => classOf(manifest.name, manifest.version)),
  );
}
