/** A class whose jobs are made of jobs of other models: its program, and the lane that claims for it. */
import type { ClassId, ModelManifest } from '@inferry/contracts';
import type { Preparation } from '../preparation/preparation.ts';
import type { ServedClass, SharedParts } from '../served-class.ts';
import { ServiceWatch } from '../service-watch.ts';
import { rowsMaxOf } from '../session-class.ts';
import type { ComposedContext } from './composed-job.ts';
import { ComposedLane } from './composed-lane.ts';
import type { Program } from './program.ts';

/** A composed model that can be served. */
export interface PreparedProgram {
  readonly cls: ClassId;
  readonly manifest: ModelManifest;
  readonly program: Program;
  readonly preparation: Preparation;
}

export class ComposedClass implements ServedClass {
  readonly #shared: SharedParts;
  readonly #context: ComposedContext;
  readonly #lane: ComposedLane;
  readonly owesSuspect = false;
  readonly isRunning = false;
  #closing: Promise<void> | null = null;

  constructor({ cls, manifest, preparation, program }: PreparedProgram, shared: SharedParts) {
    this.#shared = shared;
    const { deps, offers, stepModels } = shared;
    this.#context = {
      ...deps,
      ...shared,
      cls,
      manifest,
      rowsMax: rowsMaxOf(manifest),
      preparation,
      program,
      steps: {
        gatewayId: deps.workerId,
        random: deps.random,
        resolve: (model, versions) => stepModels.resolve(model, versions),
      },
      watch: new ServiceWatch(manifest, deps.telemetry, () => offers.changed(cls)),
    };
    this.#lane = new ComposedLane({ context: this.#context, wake: shared.wake });
  }

  get cls(): ClassId {
    return this.#context.cls;
  }

  get manifest(): ModelManifest {
    return this.#context.manifest;
  }

  get watch(): ServiceWatch {
    return this.#context.watch;
  }

  join(): void {
    const { leases, offers } = this.#shared;
    leases.add(this.cls);
    offers.add({ cls: this.cls, profile: () => this.#lane.profile() });
  }

  start(): void {
    this.#lane.start();
  }

  stopClaiming(): void {
    this.#lane.stopClaiming();
  }

  stopped(): Promise<void> {
    return this.#lane.stopped();
  }

  idle(): Promise<void> {
    return this.#lane.idle();
  }

  /** It has no part of the device. */
  leave(): void {}

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    await this.#context.program.close();
    await this.#context.preparation.close();
  }
}
