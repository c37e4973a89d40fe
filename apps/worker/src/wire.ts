/** Puts a worker together, starts it, drains it, closes it. What a batch goes through is in worker.ts. */
import { type Failure, failure } from '@inferry/contracts';
import { checkTexts, openPreparer } from '@inferry/pipelines';
import { closeAll, err, ok, type Result } from '@inferry/runtime';
import { Announcer } from './announce.ts';
import type { WorkerDeps } from './deps.ts';
import { Lifecycle, type WorkerState } from './lifecycle.ts';
import { type LoadedModel, loadModels, type PlannedModel, planModels } from './load-models.ts';
import { startPeriodic } from './periodic.ts';
import { measurePreparation, preparationModule } from './preparation/in-compute.ts';
import { createInlinePreparation } from './preparation/inline.ts';
import { startPreparationPool } from './preparation/pool.ts';
import { openChunkDeps } from './preparation/prepare-chunk.ts';
import type { Preparation } from './preparation/preparation.ts';
import { renewalsPerLease, rowsMaxOf, Serving } from './serving.ts';
import { farewellMs, within } from './within.ts';

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

class WiredWorker implements Worker {
  readonly #deps: WorkerDeps;
  readonly #lifecycle: Lifecycle;
  #serving: Serving | null = null;
  #preparation: Preparation | null = null;
  #announcer: Announcer | null = null;
  #stopAnnouncing: () => Promise<void> = () => Promise.resolve();
  #starting: Promise<unknown> = Promise.resolve();
  #draining: Promise<void> | null = null;
  #isBeingReplaced = false;

  constructor(deps: WorkerDeps) {
    this.#deps = deps;
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
    const slots = this.#serving?.slots ?? [];
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
    const deps = this.#deps;
    const { device, logger, manifests, telemetry } = deps;
    this.#lifecycle.enter('warming');
    const decoder = await openPreparer(deps);
    if (!decoder.ok) return this.#abandonStart(failure('internal', decoder.error), []);
    const texts = await checkTexts(decoder.value, manifests);
    decoder.value.close();
    if (!texts.ok) return this.#abandonStart(texts.error, []);
    logger.info({ jpeg_decoder: decoder.value.jpegDecoder }, 'images are decoded');
    const planned = planModels(manifests, device, logger);
    for (const { cls, manifest } of planned) {
      telemetry.modelDeclared(manifest.name, cls, rowsMaxOf(manifest));
    }
    const announcer = this.#announce(planned);
    const loaded = await loadModels(
      planned,
      {
        ...deps,
        preparationOf: (model) => preparationModule(model, deps),
        prepareMsOf: (model, instances) => measurePreparation(model, instances, deps),
      },
      (model) => {
        if ('failed' in model) announcer.modelFailed(model.cls);
        else announcer.modelLoaded(model);
      },
    );
    if (!loaded.ok) return this.#abandonStart(loaded.error, []);
    try {
      this.#preparation = await this.#startPreparation(loaded.value);
    } catch (cause) {
      const reason = cause instanceof Error ? cause.message : String(cause);
      const problem = failure('internal', `The preparation threads cannot start: ${reason}`);
      return this.#abandonStart(problem, loaded.value);
    }
    this.#tellPreparation(loaded.value, decoder.value.jpegDecoder);
    await this.#serve(loaded.value, this.#preparation);
    return ok(undefined);
  }

  #announce(planned: readonly PlannedModel[]): Announcer {
    const { clock, host, limits, logger, pid, queue, workerId } = this.#deps;
    const announcer = new Announcer(
      { queue, workerId, host, pid, startedAtMs: clock.nowMs(), state: () => this.state },
      planned,
    );
    this.#announcer = announcer;
    this.#stopAnnouncing = startPeriodic({
      name: 'announce',
      clock,
      logger,
      delayMs: () => limits.leaseMs / renewalsPerLease,
      task: () => announcer.announce(),
    });
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

  /** Null where no model needs it: all are prepared in their compute threads. */
  async #startPreparation(loaded: readonly LoadedModel[]): Promise<Preparation | null> {
    const deps = this.#deps;
    const { clock, jpegDecoder, logger, payloadReaderOptions, preparationThreads: threads } = deps;
    const others = loaded.filter(({ instances }) =>
      instances.some((instance) => instance.preparer === null),
    );
    if (others.length === 0) return null;
    const manifests = new Map(others.map(({ cls, manifest }) => [cls, manifest]));
    const data = { manifests, payloadReaderOptions, jpegDecoder };
    return threads > 0
      ? startPreparationPool({
          ...data,
          threads,
          clock,
          logger,
          chunkMsMax: deps.limits.preparationMsMax,
          onStuck: () => void this.#replaceProcess('a preparation'),
        })
      : createInlinePreparation(await openChunkDeps(data, clock));
  }

  #tellPreparation(loaded: readonly LoadedModel[], jpegDecoder: string): void {
    const { preparationThreads, telemetry } = this.#deps;
    const elsewhere = preparationThreads > 0 ? 'threads' : 'main';
    for (const { instances, manifest } of loaded) {
      const isHere = instances.every((instance) => instance.preparer !== null);
      const decoder = manifest.preprocess.kind === 'image' ? jpegDecoder : 'none';
      telemetry.preparation(manifest.name, isHere ? 'compute' : elsewhere, decoder);
    }
  }

  async #serve(loaded: readonly LoadedModel[], preparation: Preparation | null): Promise<void> {
    const deps = {
      ...this.#deps,
      preparation,
      onStuck: (what: string) => void this.#replaceProcess(what),
    };
    const serving = await Serving.open(deps, loaded);
    this.#serving = serving;
    this.#lifecycle.enter('serving');
    await within(deps.clock, farewellMs, this.#announcer?.announce() ?? Promise.resolve());
    serving.start();
  }

  // ---- end ------------------------------------------------------------------------------------------

  async #drain(): Promise<void> {
    await this.#starting;
    if (this.state === 'starting') this.#lifecycle.enter('stopped');
    if (this.state === 'stopped') return;
    if (this.state === 'serving') this.#lifecycle.enter('draining');
    const { clock, limits, logger, telemetry } = this.#deps;
    void within(clock, farewellMs, this.#announcer?.announce() ?? Promise.resolve());
    const serving = this.#serving;
    serving?.stopClaiming();
    if (!(await within(clock, limits.drainMs, serving?.idle() ?? Promise.resolve()))) {
      const left = serving?.jobsHeld ?? 0;
      logger.error({ jobs: left }, 'the time to drain is over; giving back what is left');
      telemetry.abandoned(left);
      serving?.halt();
      await serving?.giveBackAll();
    }
    await this.#sayGoodbye();
  }

  /** What does not return keeps its thread for ever; only a new process has all its threads again. */
  async #replaceProcess(what: string): Promise<void> {
    if (this.#isBeingReplaced) return;
    this.#isBeingReplaced = true;
    const { clock, kill, logger } = this.#deps;
    logger.fatal({}, `${what} did not return; giving claims back and ending the process`);
    if (this.state === 'serving') this.#lifecycle.enter('draining');
    this.#serving?.stopClaiming();
    await this.#serving?.giveBackAll();
    await within(clock, farewellMs, this.#announcer?.retract() ?? Promise.resolve());
    kill();
  }

  async #sayGoodbye(): Promise<void> {
    const { clock } = this.#deps;
    await within(clock, farewellMs, this.#stopAnnouncing());
    await this.#serving?.end();
    await within(clock, farewellMs, this.#announcer?.retract() ?? Promise.resolve());
  }
}
