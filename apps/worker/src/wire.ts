/** Puts a worker together, starts it, drains it, closes it. What a batch goes through is in worker.ts. */
import { setMaxListeners } from 'node:events';
import { type Failure, failure, type ModelManifest } from '@inferry/contracts';
import { openPayloadReader } from '@inferry/queue';
import { closeAll, err, ok, type Result } from '@inferry/runtime';
import { LatencyModel } from '@inferry/scheduling';
import { Announcer } from './announce.ts';
import { BatchSize } from './batch-size.ts';
import type { LaneContext, WorkerDeps } from './deps.ts';
import { ExclusiveGate } from './exclusive.ts';
import { Lane } from './lane.ts';
import { Leases } from './leases.ts';
import { Lifecycle, type WorkerState } from './lifecycle.ts';
import { type LoadedModel, loadModels, type PlannedModel, planModels } from './load-models.ts';
import { startPeriodic } from './periodic.ts';
import { createInlinePreparation } from './preparation/inline.ts';
import { startPreparationPool } from './preparation/pool.ts';
import type { Preparation } from './preparation/preparation.ts';
import { QueueClock } from './queue-clock.ts';
import { Settler } from './settle.ts';
import { Slots } from './slots.ts';
import { sweepClasses, sweepDelayMs } from './sweeper.ts';
import { Wake } from './wake.ts';
import { within } from './within.ts';

export interface Worker {
  /**
   * Loads and warms all models, then announces itself and claims. `model_unavailable` when a model cannot
   * be loaded or none has instances for the device; the worker is stopped then.
   */
  start(): Promise<Result<void, Failure>>;
  /** Claims nothing more and finishes what is claimed, within `limits.drainMs`; the rest goes back. */
  drain(): Promise<void>;
  /** Drains, then closes threads and sessions. The queue stays open. */
  close(): Promise<void>;
  readonly state: WorkerState;
  /** Claiming jobs. */
  readonly isReady: boolean;
}

export function createWorker(deps: WorkerDeps): Worker {
  return new WiredWorker(deps);
}

/** The queue gets this long for each step of a shutdown. */
const farewellMs = 1_000;
/** Renewals and announcements in one lease: one may be missed. */
const renewalsPerLease = 3;

class WiredWorker implements Worker {
  readonly #deps: WorkerDeps;
  readonly #lifecycle: Lifecycle;
  readonly #halt = new AbortController();
  #lanes: readonly Lane[] = [];
  #preparation: Preparation | null = null;
  #announcer: Announcer | null = null;
  #leases: Leases | null = null;
  #settler: Settler | null = null;
  #stopTasks: (() => Promise<void>)[] = [];
  #starting: Promise<unknown> = Promise.resolve();
  #draining: Promise<void> | null = null;
  #isBeingReplaced = false;

  constructor(deps: WorkerDeps) {
    this.#deps = deps;
    // One listener for each call that is being retried: as many as batches are under way.
    setMaxListeners(0, this.#halt.signal);
    this.#lifecycle = new Lifecycle((state) => deps.telemetry.state(state));
  }

  get state(): WorkerState {
    return this.#lifecycle.state;
  }

  get isReady(): boolean {
    return this.state === 'serving';
  }

  start(): Promise<Result<void, Failure>> {
    const starting = this.#start();
    this.#starting = starting;
    return starting;
  }

  drain(): Promise<void> {
    this.#draining ??= this.#drain();
    return this.#draining;
  }

  async close(): Promise<void> {
    await this.drain();
    if (this.state === 'stopped') return;
    const { kill, logger } = this.#deps;
    const slots = this.#lanes.flatMap((lane) => [...lane.context.slots.all]);
    if (slots.some((slot) => slot.running !== null)) {
      // Ending a thread inside a run aborts the process, and only once the run returns.
      logger.fatal({}, 'a run has not returned; ending the process');
      kill();
    }
    const idle = slots.filter((slot) => slot.running === null);
    await closeAll(
      [
        ...idle.map((slot) => ({ name: 'session', close: () => slot.close() })),
        { name: 'preparation', close: () => this.#preparation?.close() },
      ],
      (name, cause) => logger.error({ step: name, err: cause }, 'close failed'),
    );
    this.#lifecycle.enter('stopped');
  }

  // ---- start ----------------------------------------------------------------------------------------

  async #start(): Promise<Result<void, Failure>> {
    const { backend, device, logger, manifests, telemetry } = this.#deps;
    this.#lifecycle.enter('warming');
    const planned = planModels(manifests, device, logger);
    for (const { cls, manifest } of planned) {
      telemetry.modelDeclared(manifest.name, cls, rowsMaxOf(manifest));
    }
    const announcer = this.#announce(planned);
    const loaded = await loadModels(planned, { backend, device, telemetry, logger }, (model) => {
      if ('failed' in model) announcer.modelFailed(model.cls);
      else announcer.modelLoaded(model);
    });
    if (!loaded.ok) return this.#abandonStart(loaded.error, []);
    try {
      this.#preparation = await this.#startPreparation(loaded.value);
    } catch (cause) {
      const reason = cause instanceof Error ? cause.message : String(cause);
      const problem = failure('internal', `The preparation threads cannot start: ${reason}`);
      return this.#abandonStart(problem, loaded.value);
    }
    await this.#serve(loaded.value, this.#preparation);
    return ok(undefined);
  }

  #announce(planned: readonly PlannedModel[]): Announcer {
    const { clock, host, pid, queue, workerId } = this.#deps;
    const announcer = new Announcer(
      { queue, workerId, host, pid, startedAtMs: clock.nowMs(), state: () => this.state },
      planned,
    );
    this.#announcer = announcer;
    this.#every('announce', () => announcer.announce());
    void within(clock, farewellMs, announcer.announce());
    return announcer;
  }

  async #abandonStart(
    problem: Failure,
    loaded: readonly LoadedModel[],
  ): Promise<Result<void, Failure>> {
    await this.#sayGoodbye();
    for (const { instances } of loaded) {
      await Promise.all(instances.map((instance) => instance.close()));
    }
    this.#lifecycle.enter('stopped');
    return err(problem);
  }

  #startPreparation(loaded: readonly LoadedModel[]): Promise<Preparation> {
    const { clock, logger, payloadReaderOptions, preparationThreads: threads } = this.#deps;
    const manifests = new Map(loaded.map(({ cls, manifest }) => [cls, manifest]));
    if (threads > 0) {
      return startPreparationPool({ manifests, payloadReaderOptions, threads, clock, logger });
    }
    const reader = payloadReaderOptions === null ? null : openPayloadReader(payloadReaderOptions);
    return Promise.resolve(createInlinePreparation({ manifests, reader, clock }));
  }

  async #serve(loaded: readonly LoadedModel[], preparation: Preparation): Promise<void> {
    const { clock, limits, logger, queue, random, telemetry, workerId } = this.#deps;
    const classes = loaded.map((model) => model.cls);
    const leases = new Leases({ queue, workerId, classes, telemetry });
    const queueClock = new QueueClock(clock);
    const halt = this.#halt.signal;
    const settler = new Settler({ queue, leases, queueClock, clock, telemetry, logger, halt });
    const gate = new ExclusiveGate();
    const wake = new Wake({ queue, workerId, clock });
    const shared = {
      ...this.#deps,
      queueClock,
      preparation,
      leases,
      settler,
      halt,
    };
    this.#leases = leases;
    this.#settler = settler;
    this.#lanes = loaded.map((model) => {
      const { cls, manifest } = model;
      const rowsMax = rowsMaxOf(manifest);
      const context: LaneContext = {
        ...shared,
        cls,
        manifest,
        rowsMax,
        slots: this.#slotsOf(model),
        batchSize: new BatchSize(model, rowsMax, { telemetry, logger }),
        prepareDurations: new LatencyModel(),
      };
      return new Lane({ context, gate, wake });
    });
    // The heartbeat comes before the first claim, or the sweep of another process takes the job back.
    await within(clock, farewellMs, leases.renew());
    this.#every('renew', () => leases.renew());
    this.#stopTasks.push(
      startPeriodic({
        name: 'sweep',
        clock,
        logger,
        delayMs: () => sweepDelayMs(limits.sweepMs, random.unit()),
        task: () => sweepClasses(queue, classes, telemetry),
      }),
    );
    this.#lifecycle.enter('serving');
    await within(clock, farewellMs, this.#announcer?.announce() ?? Promise.resolve());
    for (const lane of this.#lanes) lane.start();
  }

  #slotsOf({ instances, manifest }: LoadedModel): Slots {
    const { clock, limits, telemetry } = this.#deps;
    return new Slots(instances, {
      clock,
      graceMs: limits.stuckRunGraceMs,
      onStuck: () => void this.#replaceProcess(),
      onLateReturn: (items) => {
        for (let i = 0; i < items; i += 1) telemetry.resultDropped(manifest.name);
      },
    });
  }

  #every(name: string, task: () => Promise<void>): void {
    const { clock, limits, logger } = this.#deps;
    const delayMs = (): number => limits.leaseMs / renewalsPerLease;
    this.#stopTasks.push(startPeriodic({ name, clock, logger, delayMs, task }));
  }

  // ---- end ------------------------------------------------------------------------------------------

  async #drain(): Promise<void> {
    await this.#starting;
    if (this.state === 'starting') this.#lifecycle.enter('stopped');
    if (this.state === 'stopped') return;
    if (this.state === 'serving') this.#lifecycle.enter('draining');
    const { clock, limits, logger, telemetry } = this.#deps;
    void within(clock, farewellMs, this.#announcer?.announce() ?? Promise.resolve());
    for (const lane of this.#lanes) lane.stopClaiming();
    const idle = Promise.all(this.#lanes.map((lane) => lane.idle()));
    if (!(await within(clock, limits.drainMs, idle))) {
      const left = [...(this.#leases?.held().values() ?? [])].reduce((n, jobs) => n + jobs.size, 0);
      logger.error({ jobs: left }, 'the time to drain is over; giving back what is left');
      telemetry.abandoned(left);
      this.#halt.abort();
      await this.#giveBackAll();
    }
    await this.#sayGoodbye();
  }

  /** A run that does not return keeps its thread for ever; only a new process has all its slots again. */
  async #replaceProcess(): Promise<void> {
    if (this.#isBeingReplaced) return;
    this.#isBeingReplaced = true;
    const { clock, kill, logger } = this.#deps;
    logger.fatal({}, 'a run did not return; giving claims back and ending the process');
    if (this.state === 'serving') this.#lifecycle.enter('draining');
    for (const lane of this.#lanes) lane.stopClaiming();
    await this.#giveBackAll();
    await within(clock, farewellMs, this.#announcer?.retract() ?? Promise.resolve());
    kill();
  }

  /** Returns every job that has no outcome yet; what a run still brings for them is dropped. */
  async #giveBackAll(): Promise<void> {
    const { clock } = this.#deps;
    const going = [...(this.#leases?.held() ?? [])].map(async ([cls, held]) => {
      const open = [...held].filter((job) => job.isOpen);
      await this.#settler?.giveBack(cls, open, false);
      for (const job of open) job.isLost = true;
    });
    await within(clock, farewellMs, Promise.all(going));
  }

  async #sayGoodbye(): Promise<void> {
    const { clock } = this.#deps;
    const stopped = Promise.all(this.#stopTasks.map((stop) => stop()));
    await within(clock, farewellMs, stopped);
    await within(clock, farewellMs, this.#announcer?.retract() ?? Promise.resolve());
  }
}

/** Most rows the model takes. */
function rowsMaxOf(manifest: ModelManifest): number {
  return Math.max(1, manifest.maxBatchSize);
}
