/** Puts a worker together, starts it, drains it, closes it. What a batch goes through is in worker.ts. */
import { type CarriedOut, type Failure, failure } from '@inferry/contracts';
import { closeAll, err, type Err, type Result } from '@inferry/runtime';
import { Announcer } from './announce.ts';
import type { ServingDeps, WorkerDeps } from './deps.ts';
import { Lifecycle, type WorkerState } from './lifecycle.ts';
import { ModelLoader } from './load-prepared.ts';
import { ModelSwitch } from './model-switch.ts';
import { startPeriodic } from './periodic.ts';
import { renewalsPerLease, Serving } from './serving.ts';
import type { ApplyReport, FindInstead, WantedModels } from './wanted-models.ts';
import { farewellMs, within } from './within.ts';

/** How often it is looked whether a class that retires may go. */
const retireLookMs = 500;
/** Gateways learn of a change in a fraction of a lease; whoever was late has enqueued by then. */
const retireLeases = 2;
const nothingInstead: FindInstead = () => Promise.resolve(null);

export interface Worker {
  /**
   * Loads and warms all models, then announces itself and claims; resolves with what became of each version.
   * `model_unavailable` when no version of a model can be loaded, or no model has instances for the device; the
   * worker is stopped then.
   */
  start(): Promise<Result<ApplyReport, Failure>>;
  /**
   * Serves these models from now on, while it goes on serving; resolves when what is new was loaded, or failed to.
   * What is wanted no longer is served until nobody needs it. Calls are carried out one after the other. Before
   * the start and after the end nothing is done, and nothing reported.
   */
  apply(wanted: WantedModels): Promise<ApplyReport>;
  /** What became of the last order of each model, to be told to the gateways; replaces what was told before. */
  tellCarriedOut(byModel: Readonly<Record<string, CarriedOut>>): void;
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
  readonly #deps: ServingDeps;
  readonly #lifecycle: Lifecycle;
  readonly #loader: ModelLoader;
  readonly #serving: Serving;
  readonly #models: ModelSwitch;
  #announcer: Announcer | null = null;
  #carriedOut: Readonly<Record<string, CarriedOut>> = {};
  #stopTasks: (() => Promise<void>)[] = [];
  #starting: Promise<unknown> = Promise.resolve();
  #draining: Promise<void> | null = null;
  #isBeingReplaced = false;

  constructor(given: WorkerDeps) {
    const deps = { ...given, onStuck: (what: string) => void this.#replaceProcess(what) };
    const { leaseMs } = deps.limits;
    this.#deps = deps;
    this.#lifecycle = new Lifecycle((state) => deps.telemetry.state(state));
    this.#loader = new ModelLoader(deps);
    this.#serving = new Serving(deps);
    this.#models = new ModelSwitch({
      ...deps,
      serving: this.#serving,
      loader: this.#loader,
      retireGraceMs: retireLeases * leaseMs,
      onChange: () => this.#tell(),
    });
  }

  get state(): WorkerState {
    return this.#lifecycle.state;
  }

  get isReady(): boolean {
    return this.state === 'serving';
  }

  start(): Promise<Result<ApplyReport, Failure>> {
    const starting = this.#start();
    this.#starting = starting;
    return starting;
  }

  async apply(wanted: WantedModels): Promise<ApplyReport> {
    await this.#starting;
    return this.isReady ? this.#models.apply(wanted) : [];
  }

  tellCarriedOut(byModel: Readonly<Record<string, CarriedOut>>): void {
    this.#carriedOut = byModel;
    void this.#tell();
  }

  drain(): Promise<void> {
    this.#draining ??= this.#drain();
    return this.#draining;
  }

  async close(): Promise<void> {
    await this.drain();
    if (this.state === 'stopped') return;
    const { kill, logger } = this.#deps;
    if (this.#serving.isRunning) {
      // Ending a thread inside a run aborts the process, and only once the run returns.
      logger.fatal({}, 'a run has not returned; ending the process');
      kill();
    }
    // A load that is under way cannot be broken off; what it brings is closed at once.
    await this.#models.idle();
    await closeAll(
      [
        { name: 'sessions', close: () => this.#serving.close() },
        { name: 'preparation', close: () => this.#loader.close() },
      ],
      (name, cause) => logger.error({ step: name, err: cause }, 'close failed'),
    );
    this.#lifecycle.enter('stopped');
  }

  // ---- start ----------------------------------------------------------------------------------------

  async #start(): Promise<Result<ApplyReport, Failure>> {
    const { findInstead = nothingInstead, manifests, routing = {} } = this.#deps;
    this.#lifecycle.enter('warming');
    const opened = await this.#loader.open();
    if (!opened.ok) return this.#abandonStart(failure('internal', opened.error));
    this.#beginAnnouncing();
    const begun = await this.#models.begin({ manifests, routing }, findInstead);
    if (!begun.ok) return this.#abandonStart(begun.error);
    await this.#serve();
    return begun;
  }

  async #serve(): Promise<void> {
    const { clock, logger } = this.#deps;
    this.#serving.begin();
    this.#lifecycle.enter('serving');
    await this.#tell();
    this.#serving.start();
    const delayMs = (): number => retireLookMs;
    const task = (): Promise<void> => this.#models.lookAtRetiring();
    this.#stopTasks.push(startPeriodic({ name: 'retire', clock, logger, delayMs, task }));
  }

  #beginAnnouncing(): void {
    const { clock, limits, logger } = this.#deps;
    const announcer = new Announcer({
      ...this.#deps,
      startedAtMs: clock.nowMs(),
      state: () => this.state,
      about: () => ({
        models: this.#models.models,
        routing: this.#models.routing,
        carriedOut: this.#carriedOut,
      }),
    });
    this.#announcer = announcer;
    const delayMs = (): number => limits.leaseMs / renewalsPerLease;
    const task = (): Promise<void> => announcer.announce();
    this.#stopTasks.push(startPeriodic({ name: 'announce', clock, logger, delayMs, task }));
  }

  async #tell(): Promise<void> {
    await this.#announcer?.changed();
  }

  async #abandonStart(problem: Failure): Promise<Err<Failure>> {
    await this.#sayGoodbye();
    await this.#loader.close();
    this.#lifecycle.enter('stopped');
    return err(problem);
  }

  // ---- end ------------------------------------------------------------------------------------------

  async #drain(): Promise<void> {
    await this.#starting;
    if (this.state === 'starting') this.#lifecycle.enter('stopped');
    if (this.state === 'stopped') return;
    if (this.state === 'serving') this.#lifecycle.enter('draining');
    const { clock, limits, logger, telemetry } = this.#deps;
    this.#models.end();
    void this.#tell();
    const serving = this.#serving;
    serving.stopClaiming();
    if (!(await within(clock, limits.drainMs, serving.idle()))) {
      const left = serving.jobsHeld;
      logger.error({ jobs: left }, 'the time to drain is over; giving back what is left');
      telemetry.abandoned(left);
      serving.halt();
      await serving.giveBackAll();
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
    this.#models.end();
    this.#serving.stopClaiming();
    await this.#serving.giveBackAll();
    await within(clock, farewellMs, this.#announcer?.retract() ?? Promise.resolve());
    kill();
  }

  async #sayGoodbye(): Promise<void> {
    const { clock } = this.#deps;
    await within(clock, farewellMs, Promise.all(this.#stopTasks.map((stop) => stop())));
    await this.#serving.end();
    await within(clock, farewellMs, this.#announcer?.retract() ?? Promise.resolve());
  }
}
