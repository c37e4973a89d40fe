/**
 * The classes that a worker serves, which come and go: what they share, and the housekeeping beside them. Which
 * ones there are is decided in model-switch.ts; what serving one takes is a ServedClass.
 */
import { setMaxListeners } from 'node:events';
import { type ClassId, isComposed } from '@inferry/contracts';
import { StatisticsTally } from '@inferry/queue';
import { ComposedClass } from './composed/composed-class.ts';
import { heightsOf } from './composed/heights.ts';
import { type LocalModels, StepModels } from './composed/step-models.ts';
import type { ServingDeps } from './deps.ts';
import { capacityOf, DeviceShare } from './device-share.ts';
import { ExclusiveGate } from './exclusive.ts';
import { IdleTime } from './idle-time.ts';
import { Leases } from './leases.ts';
import { Offers } from './offers.ts';
import { type PeriodicOptions, startPeriodic } from './periodic.ts';
import { QueueClock } from './queue-clock.ts';
import type { ServedClass, SharedParts } from './served-class.ts';
import type { Prepared } from './load-prepared.ts';
import { SessionClass } from './session-class.ts';
import { Settler } from './settle.ts';
import { StoredProfiles } from './stored-profiles.ts';
import { sweepClasses, sweepDelayMs } from './sweeper.ts';
import { Wake } from './wake.ts';
import { farewellMs, within } from './within.ts';

/** Renewals of leases and offers in one lease: one may be missed. */
export const renewalsPerLease = 3;
/** What was learned is saved this often, when it has changed. */
const saveMs = 30_000;
const watchMs = 1_000;
/** What composed models may run is looked at as often as gateways look at theirs. */
const modelsMs = 500;
/** What is counted is added to the statistics of all workers this often: a worker that is killed loses so much. */
const countMs = 1_000;

export class Serving {
  readonly #deps: ServingDeps;
  readonly #shared: SharedParts;
  readonly #halt = new AbortController();
  readonly #classes = new Map<ClassId, ServedClass>();
  /** Others have taken their places; they finish what they have claimed. */
  readonly #leaving = new Map<ServedClass, Promise<void>>();
  /** Sessions of each class, as the device is shared. */
  readonly #slots = new Map<ClassId, number>();
  #isStopping = false;
  #stopping: Promise<void> = Promise.resolve();
  #stopTasks: (() => Promise<void>)[] = [];

  constructor(deps: ServingDeps) {
    this.#deps = deps;
    const { clock, queue } = deps;
    const halt = this.#halt.signal;
    // One listener for each call that is being retried: as many as batches are under way.
    setMaxListeners(0, halt);
    const statistics = new StatisticsTally(queue);
    const queueClock = new QueueClock(clock);
    const leases = new Leases({ ...deps, queueClock });
    this.#shared = {
      deps,
      leases,
      settler: new Settler({
        ...deps,
        leases,
        queueClock,
        statistics,
        halt,
        watchOf: (cls) => this.#classes.get(cls)?.watch,
      }),
      offers: new Offers(deps),
      profiles: new StoredProfiles(deps),
      statistics,
      queueClock,
      device: new DeviceShare(Infinity, clock),
      idleTime: new IdleTime(clock),
      gate: new ExclusiveGate(),
      wake: new Wake(deps),
      stepModels: new StepModels(deps),
      halt,
    };
  }

  /** What its repository holds, of which steps may name something. */
  replaceLocal(models: LocalModels): void {
    this.#shared.stepModels.replaceLocal(models);
  }

  /** Adds classes that are not served yet, and tells the queue of them. They claim once they are started. */
  async add(models: readonly Prepared[]): Promise<void> {
    const added = await this.#open(models);
    for (const served of added) {
      this.#classes.set(served.cls, served);
      served.join(null);
    }
    // The heartbeat comes before the first claim, or the sweep of another process takes the job back.
    const { leases, offers } = this.#shared;
    const told = Promise.allSettled([leases.renew(), offers.renew()]);
    await within(this.#deps.clock, farewellMs, told);
  }

  /** Begins to claim; all classes where none is named. */
  start(cls?: ClassId): void {
    if (this.#isStopping) return;
    for (const served of this.#classes.values()) {
      if (cls === undefined || served.cls === cls) served.start();
    }
  }

  /**
   * The class is served by this from now on. What it was before finishes its batches and is closed then; at most
   * one such is waited for before another comes.
   */
  async replace(model: Prepared): Promise<void> {
    const [served] = await this.#open([model]);
    const before = this.#classes.get(model.cls);
    if (served === undefined || before === undefined) return;
    before.stopClaiming();
    await before.stopped();
    this.#classes.set(model.cls, served);
    served.join(before);
    this.start(model.cls);
    const leaving = this.#finish(before);
    this.#leaving.set(before, leaving);
    void within(this.#deps.clock, farewellMs, this.#shared.offers.renew());
  }

  /** Stops serving the class. False where jobs of it came while it did: it is still served then. */
  async remove(cls: ClassId): Promise<boolean> {
    const served = this.#classes.get(cls);
    if (served === undefined) return true;
    const { clock, queue, telemetry } = this.#deps;
    const { leases, offers, profiles } = this.#shared;
    served.stopClaiming();
    await served.idle();
    const stats = await queue.stats([cls]).catch(() => []);
    if (this.#isStopping || (stats[0]?.waiting ?? 1) > 0) {
      this.start(cls);
      return false;
    }
    this.#classes.delete(cls);
    this.#slots.delete(cls);
    await within(clock, farewellMs, offers.remove(cls));
    await within(clock, farewellMs, profiles.release(cls));
    leases.remove(cls);
    served.leave();
    await served.close();
    this.#resize();
    telemetry.modelUnloaded(served.manifest.name, served.manifest.version);
    return true;
  }

  /** Resolves when nothing is left of what the class was before; but for ensembles, which hold nothing and may take long. */
  async replaced(cls: ClassId): Promise<void> {
    const awaited = [...this.#leaving].filter(
      ([served]) => served.cls === cls && served.manifest.backend !== 'ensemble',
    );
    await Promise.all(awaited.map(([, leaving]) => leaving));
  }

  /**
   * Claims nothing more, and says so. What composed models run is claimed until none of their jobs is under way: no
   * other worker may be there to take it.
   */
  stopClaiming(): void {
    this.#isStopping = true;
    // First, so that nobody is promised what this worker would have done.
    void within(this.#deps.clock, farewellMs, this.#shared.offers.withdraw());
    this.#stopping = this.#stopInOrder();
  }

  /** Resolves when every claimed batch was settled or given back. */
  async idle(): Promise<void> {
    await this.#stopping;
    await Promise.all(this.#every().map((served) => served.idle()));
  }

  /** Jobs claimed and not settled. */
  get jobsHeld(): number {
    return [...this.#shared.leases.held().values()].reduce((sum, jobs) => sum + jobs.size, 0);
  }

  /** A run has not returned. */
  get isRunning(): boolean {
    return this.#every().some((served) => served.isRunning);
  }

  /** Calls to the queue are not made again from now on. */
  halt(): void {
    this.#halt.abort();
  }

  /** Returns every job that has no outcome yet; what a run still brings for them is dropped. */
  async giveBackAll(): Promise<void> {
    const all = this.#every();
    for (const served of all) served.stopClaiming();
    // What is being claimed is held then; a queue that is away is not waited for.
    const stopped = Promise.all(all.map((served) => served.stopped()));
    await within(this.#deps.clock, farewellMs, stopped);
    const { leases, settler } = this.#shared;
    const going = [...leases.held()].map(async ([cls, held]) => {
      const open = [...held].filter((job) => job.isOpen);
      await settler.giveBack(cls, open, false);
      for (const job of open) job.isLost = true;
    });
    await within(this.#deps.clock, farewellMs, Promise.all(going));
  }

  /** Ends the housekeeping, and keeps what was learned. */
  async end(): Promise<void> {
    const { clock } = this.#deps;
    const stopped = Promise.all(this.#stopTasks.map((stop) => stop()));
    await within(clock, farewellMs, stopped);
    await within(clock, farewellMs, this.#shared.profiles.save());
    await within(clock, farewellMs, this.#shared.statistics.flush());
  }

  /** Frees what all classes hold, but for runs that have not returned; only when they are idle. */
  async close(): Promise<void> {
    await Promise.all(this.#every().map((served) => served.close()));
  }

  /** Begins the housekeeping, for whatever is served. */
  begin(): void {
    const { limits, queue, random, telemetry } = this.#deps;
    const { leases, offers, profiles, statistics } = this.#shared;
    const renewMs = (): number => limits.leaseMs / renewalsPerLease;
    this.#repeat('renew', renewMs, () => leases.renew());
    this.#repeat('offer', renewMs, () => offers.renew());
    this.#repeat(
      'sweep',
      () => sweepDelayMs(limits.sweepMs, random.unit()),
      () => sweepClasses(queue, [...this.#classes.keys()], telemetry, statistics),
    );
    this.#repeat(
      'look at models',
      () => modelsMs,
      async () => {
        const isAsked = [...this.#classes.values()].some(({ manifest }) => isComposed(manifest));
        if (isAsked) await this.#shared.stepModels.refresh();
      },
    );
    this.#repeat(
      'watch promises',
      () => watchMs,
      async () => {
        const held = leases.held();
        for (const { cls, watch } of this.#classes.values()) {
          watch.tick((held.get(cls)?.size ?? 0) > 0);
        }
      },
    );
    this.#repeat(
      'add statistics',
      () => countMs,
      () => statistics.flush(),
    );
    this.#repeat(
      'save profiles',
      () => saveMs,
      () => profiles.save(),
    );
  }

  #repeat(name: string, delayMs: () => number, task: PeriodicOptions['task']): void {
    const { clock, logger } = this.#deps;
    this.#stopTasks.push(startPeriodic({ name, clock, logger, delayMs, task }));
  }

  async #open(models: readonly Prepared[]): Promise<readonly ServedClass[]> {
    const loaded = models.flatMap((model) => ('program' in model ? [] : [model]));
    for (const { cls, instances } of loaded) this.#slots.set(cls, instances.length);
    this.#resize();
    const [stored] = await Promise.all([
      this.#shared.profiles.load(loaded),
      loaded.length === models.length ? undefined : this.#lookAtModels(),
    ]);
    return models.map((model) =>
      'program' in model
        ? new ComposedClass(model, this.#shared)
        : new SessionClass(model, stored.get(model.cls) ?? null, this.#shared),
    );
  }

  /** While the queue is away, the models of this worker's own repository are known. */
  async #lookAtModels(): Promise<void> {
    await within(this.#deps.clock, farewellMs, this.#shared.stepModels.refresh());
  }

  async #finish(served: ServedClass): Promise<void> {
    await served.idle();
    served.leave();
    await served.close();
    this.#leaving.delete(served);
  }

  async #stopInOrder(): Promise<void> {
    const all = this.#every();
    const heights = heightsOf(all.map(({ manifest }) => manifest));
    const heightOf = ({ manifest }: ServedClass): number => heights.get(manifest.name) ?? 0;
    for (let height = Math.max(0, ...heights.values()); height >= 0; height -= 1) {
      const own = all.filter((served) => heightOf(served) === height);
      for (const served of own) served.stopClaiming();
      if (height > 0) await Promise.all(own.map((served) => served.idle()));
    }
  }

  #every(): readonly ServedClass[] {
    return [...this.#classes.values(), ...this.#leaving.keys()];
  }

  #resize(): void {
    const { concurrentRuns, cores, device, telemetry } = this.#deps;
    const slots = [...this.#slots.values()];
    // A GPU runs one session after the other, whatever the machine around it.
    const share = { cores: device.kind === 'cpu' ? cores : 1, wanted: concurrentRuns };
    const capacity = capacityOf(slots, share);
    this.#shared.device.resize(capacity);
    const instances = slots.reduce((sum, count) => sum + count, 0);
    telemetry.slots(Math.min(capacity, instances));
  }
}
