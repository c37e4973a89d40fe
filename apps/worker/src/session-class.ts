/** A class whose jobs run in sessions of this worker: its slots, and the lane that claims for them. */
import type { ClassId, ModelManifest } from '@inferry/contracts';
import { LatencyModel, type LatencySnapshot } from '@inferry/scheduling';
import { BatchSize } from './batch-size.ts';
import type { LaneContext } from './deps.ts';
import { Lane } from './lane.ts';
import type { LoadedModel } from './load-models.ts';
import { profileOfRuns } from './offers.ts';
import type { Preparation } from './preparation/preparation.ts';
import type { ServedClass, SharedParts } from './served-class.ts';
import { ServiceWatch } from './service-watch.ts';
import { Slots } from './slots.ts';

/** A model that is loaded, and what prepares for it. */
export interface PreparedModel extends LoadedModel {
  /** Null where its slots do. */
  readonly preparation: Preparation | null;
}

export class SessionClass implements ServedClass {
  readonly #model: PreparedModel;
  readonly #shared: SharedParts;
  readonly #context: LaneContext;
  #lane: Lane | null = null;
  #closing: Promise<void> | null = null;

  /** `stored`: what another worker learned of its run times; null where nothing is known. */
  constructor(model: PreparedModel, stored: LatencySnapshot | null, shared: SharedParts) {
    this.#model = model;
    this.#shared = shared;
    const { cls, instances, manifest, preparation } = model;
    const { deps, device, offers } = shared;
    const { logger, telemetry } = deps;
    const rowsMax = rowsMaxOf(manifest);
    const onChange = (): void => offers.changed(cls);
    const batchSize = new BatchSize(model, manifest.joinedRowsMax ?? rowsMax, {
      runs: () => device.runsOf(instances.length),
      telemetry,
      logger,
      stored,
      onChange,
    });
    this.#context = {
      ...deps,
      ...shared,
      cls,
      manifest,
      rowsMax,
      preparation,
      slots: this.#slots(),
      batchSize,
      watch: new ServiceWatch(manifest, telemetry, onChange),
      prepareDurations: new LatencyModel(),
    };
  }

  get cls(): ClassId {
    return this.#model.cls;
  }

  get manifest(): ModelManifest {
    return this.#model.manifest;
  }

  get watch(): ServiceWatch {
    return this.#context.watch;
  }

  get owesSuspect(): boolean {
    return this.#lane?.owesSuspect ?? false;
  }

  get isRunning(): boolean {
    return this.#context.slots.all.some((slot) => slot.running !== null);
  }

  join(before: ServedClass | null): void {
    const context = this.#context;
    const { gate, leases, offers, profiles, wake } = this.#shared;
    this.#lane = new Lane({ context, gate, wake, owesSuspect: before?.owesSuspect ?? false });
    leases.add(this.cls);
    offers.add({ cls: this.cls, profile: () => profileOfRuns(context) });
    profiles.keep(this.#model, context.batchSize.latency);
  }

  start(): void {
    this.#lane?.start();
  }

  stopClaiming(): void {
    this.#lane?.stopClaiming();
  }

  async stopped(): Promise<void> {
    await this.#lane?.stopped();
  }

  async idle(): Promise<void> {
    await this.#lane?.idle();
  }

  leave(): void {
    this.#lane?.leave();
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    await this.#model.preparation?.close();
    // Ending a thread inside a run would abort the process.
    const idle = this.#context.slots.all.filter((slot) => slot.running === null);
    await Promise.all(idle.map((slot) => slot.close()));
  }

  #slots(): Slots {
    const { deps, idleTime } = this.#shared;
    const { clock, limits, onStuck, telemetry } = deps;
    return new Slots(this.#model.instances, {
      clock,
      idleTime,
      graceMs: limits.stuckRunGraceMs,
      onStuck,
      onLateReturn: (items) => {
        for (let i = 0; i < items; i += 1) telemetry.resultDropped(this.manifest.name);
      },
    });
  }
}

/** Most rows the model takes. */
export function rowsMaxOf(manifest: ModelManifest): number {
  return Math.max(1, manifest.maxBatchSize);
}
