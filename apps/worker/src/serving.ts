/** A worker whose models are loaded: its lanes, what they share, and the housekeeping beside them. */
import { setMaxListeners } from 'node:events';
import type { ClassId, ModelManifest } from '@inferry/contracts';
import { StatisticsTally } from '@inferry/queue';
import { LatencyModel, type LatencySnapshot } from '@inferry/scheduling';
import { BatchSize } from './batch-size.ts';
import type { LaneContext, WorkerDeps } from './deps.ts';
import { capacityOf, DeviceShare } from './device-share.ts';
import { ExclusiveGate } from './exclusive.ts';
import { IdleTime } from './idle-time.ts';
import { Lane } from './lane.ts';
import { Leases } from './leases.ts';
import type { LoadedModel } from './load-models.ts';
import { Offers } from './offers.ts';
import { type PeriodicOptions, startPeriodic } from './periodic.ts';
import type { Preparation } from './preparation/preparation.ts';
import { QueueClock } from './queue-clock.ts';
import { ServiceWatch } from './service-watch.ts';
import { Settler } from './settle.ts';
import { type Slot, Slots } from './slots.ts';
import { StoredProfiles } from './stored-profiles.ts';
import { sweepClasses, sweepDelayMs } from './sweeper.ts';
import { Wake } from './wake.ts';
import { farewellMs, within } from './within.ts';

/** Renewals of leases and offers in one lease: one may be missed. */
export const renewalsPerLease = 3;
/** What was learned is saved this often, when it has changed. */
const saveMs = 30_000;
const watchMs = 1_000;
/** What is counted is added to the statistics of all workers this often: a worker that is killed loses so much. */
const countMs = 1_000;

export interface ServingDeps extends WorkerDeps {
  /** Null where every model is prepared in its slots. */
  readonly preparation: Preparation | null;
  /** A run or a preparation did not return within its time: the process has to be replaced. */
  readonly onStuck: (what: string) => void;
}

export class Serving {
  readonly #deps: ServingDeps;
  readonly #halt = new AbortController();
  readonly #lanes: readonly Lane[];
  readonly #leases: Leases;
  readonly #settler: Settler;
  readonly #offers: Offers;
  readonly #profiles: StoredProfiles;
  readonly #statistics: StatisticsTally;
  #stopTasks: (() => Promise<void>)[] = [];

  private constructor(
    deps: ServingDeps,
    loaded: readonly LoadedModel[],
    profiles: StoredProfiles,
    stored: ReadonlyMap<ClassId, LatencySnapshot>,
  ) {
    const { clock, logger, queue, telemetry, workerId } = deps;
    this.#deps = deps;
    this.#profiles = profiles;
    const statistics = new StatisticsTally(queue);
    this.#statistics = statistics;
    // One listener for each call that is being retried: as many as batches are under way.
    setMaxListeners(0, this.#halt.signal);
    const classes = loaded.map((model) => model.cls);
    const watchFor = ({ cls, manifest }: LoadedModel): ServiceWatch =>
      new ServiceWatch(manifest, telemetry, () => this.#offers.changed(cls));
    const watches = new Map(loaded.map((model) => [model.cls, watchFor(model)]));
    const queueClock = new QueueClock(clock);
    const leases = new Leases({ ...deps, classes, queueClock });
    const halt = this.#halt.signal;
    const watchOf = (cls: ClassId): ServiceWatch | undefined => watches.get(cls);
    const common = { queue, leases, queueClock, clock, telemetry, statistics, logger, halt };
    const settler = new Settler({ ...common, watchOf });
    const capacity = capacityFor(loaded, deps);
    const device = new DeviceShare(capacity, clock);
    const instances = loaded.reduce((sum, model) => sum + model.instances.length, 0);
    telemetry.slots(Math.min(capacity, instances));
    const idleTime = new IdleTime(clock);
    const contexts = loaded.map((model): LaneContext => {
      const { cls, manifest } = model;
      const rowsMax = rowsMaxOf(manifest);
      const batchSize = new BatchSize(model, manifest.joinedRowsMax ?? rowsMax, {
        runs: device.runsOf(model.instances.length),
        telemetry,
        logger,
        stored: stored.get(cls) ?? null,
        onChange: () => this.#offers.changed(cls),
      });
      profiles.keep(model, batchSize.latency);
      return {
        ...deps,
        ...common,
        cls,
        manifest,
        rowsMax,
        settler,
        slots: this.#slotsOf(model, idleTime),
        device,
        batchSize,
        watch: watches.get(cls) ?? watchFor(model),
        prepareDurations: new LatencyModel(),
      };
    });
    const gate = new ExclusiveGate();
    const wake = new Wake({ queue, workerId, clock });
    this.#leases = leases;
    this.#settler = settler;
    this.#offers = new Offers({ queue, workerId, lanes: contexts });
    this.#lanes = contexts.map((context) => new Lane({ context, gate, wake }));
  }

  /** Looks for what is stored of the models, and tells the queue of this worker. Claims nothing yet. */
  static async open(deps: ServingDeps, loaded: readonly LoadedModel[]): Promise<Serving> {
    const profiles = new StoredProfiles(deps);
    const serving = new Serving(deps, loaded, profiles, await profiles.load(loaded));
    await serving.#beginHousekeeping(loaded.map((model) => model.cls));
    return serving;
  }

  /** Begins to claim. */
  start(): void {
    for (const lane of this.#lanes) lane.start();
  }

  /** Claims nothing more, and says so. */
  stopClaiming(): void {
    // First, so that nobody is promised what this worker would have done.
    void within(this.#deps.clock, farewellMs, this.#offers.withdraw());
    for (const lane of this.#lanes) lane.stopClaiming();
  }

  /** Resolves when every claimed batch was settled or given back. */
  async idle(): Promise<void> {
    await Promise.all(this.#lanes.map((lane) => lane.idle()));
  }

  /** Jobs claimed and not settled. */
  get jobsHeld(): number {
    return [...this.#leases.held().values()].reduce((sum, jobs) => sum + jobs.size, 0);
  }

  get slots(): readonly Slot[] {
    return this.#lanes.flatMap((lane) => [...lane.context.slots.all]);
  }

  /** Calls to the queue are not made again from now on. */
  halt(): void {
    this.#halt.abort();
  }

  /** Returns every job that has no outcome yet; what a run still brings for them is dropped. */
  async giveBackAll(): Promise<void> {
    const going = [...this.#leases.held()].map(async ([cls, held]) => {
      const open = [...held].filter((job) => job.isOpen);
      await this.#settler.giveBack(cls, open, false);
      for (const job of open) job.isLost = true;
    });
    await within(this.#deps.clock, farewellMs, Promise.all(going));
  }

  /** Ends the housekeeping, and keeps what was learned. */
  async end(): Promise<void> {
    const { clock } = this.#deps;
    const stopped = Promise.all(this.#stopTasks.map((stop) => stop()));
    await within(clock, farewellMs, stopped);
    await within(clock, farewellMs, this.#profiles.save());
    await within(clock, farewellMs, this.#statistics.flush());
  }

  async #beginHousekeeping(classes: readonly ClassId[]): Promise<void> {
    const { clock, limits, queue, random, telemetry } = this.#deps;
    const renewMs = (): number => limits.leaseMs / renewalsPerLease;
    // The heartbeat comes before the first claim, or the sweep of another process takes the job back.
    const first = Promise.allSettled([this.#leases.renew(), this.#offers.renew()]);
    await within(clock, farewellMs, first);
    this.#every('renew', renewMs, () => this.#leases.renew());
    this.#every('offer', renewMs, () => this.#offers.renew());
    this.#every(
      'sweep',
      () => sweepDelayMs(limits.sweepMs, random.unit()),
      () => sweepClasses(queue, classes, telemetry, this.#statistics),
    );
    this.#every(
      'watch promises',
      () => watchMs,
      async () => {
        const held = this.#leases.held();
        for (const { context } of this.#lanes) {
          context.watch.tick((held.get(context.cls)?.size ?? 0) > 0);
        }
      },
    );
    this.#every(
      'add statistics',
      () => countMs,
      () => this.#statistics.flush(),
    );
    this.#every(
      'save profiles',
      () => saveMs,
      () => this.#profiles.save(),
    );
  }

  #every(name: string, delayMs: () => number, task: PeriodicOptions['task']): void {
    const { clock, logger } = this.#deps;
    this.#stopTasks.push(startPeriodic({ name, clock, logger, delayMs, task }));
  }

  #slotsOf({ instances, manifest }: LoadedModel, idleTime: IdleTime): Slots {
    const { clock, limits, onStuck, telemetry } = this.#deps;
    return new Slots(instances, {
      clock,
      idleTime,
      graceMs: limits.stuckRunGraceMs,
      onStuck,
      onLateReturn: (items) => {
        for (let i = 0; i < items; i += 1) telemetry.resultDropped(manifest.name);
      },
    });
  }
}

/** Most rows the model takes. */
export function rowsMaxOf(manifest: ModelManifest): number {
  return Math.max(1, manifest.maxBatchSize);
}

function capacityFor(
  loaded: readonly LoadedModel[],
  { concurrentRuns, cores, device }: WorkerDeps,
): number {
  const slots = loaded.map(({ instances }) => instances.length);
  // A GPU runs one session after the other, whatever the machine around it.
  return capacityOf(slots, { cores: device.kind === 'cpu' ? cores : 1, wanted: concurrentRuns });
}
