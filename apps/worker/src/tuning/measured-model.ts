/**
 * A model loaded to find out what it costs: its instances run batches together, each one after the other,
 * as they do under load. No queue, no jobs, no postprocessing.
 *
 * Promises: the instances of a measurement start together, and each sample was taken while the others were
 * running too, but for the last one of each instance. The first run of every size is not counted, nor are
 * those of the first moments, in which code is still being compiled.
 */
import { classOf, type ModelManifest } from '@inferry/contracts';
import type { Device, InferenceBackend, ModelInstance } from '@inferry/inference';
import { openPreparer } from '@inferry/pipelines';
import { type Clock, err, invariant, ok, type Random, type Result } from '@inferry/runtime';
import type { Logger } from '@inferry/telemetry';
import type { WorkerDeps } from '../deps.ts';
import { preparationModule } from '../preparation/in-compute.ts';
import {
  type BatchFeed,
  computeFeed,
  type FedBatch,
  threadsFeed,
  zerosFeed,
} from './batch-feeds.ts';

/** What one batch of one instance cost, ms. */
export interface BatchSample {
  /** From payloads to tensors; 0 where tensors were given. */
  readonly prepareMs: number;
  /** Inside `session.run`. */
  readonly computeMs: number;
  /** From the end of the batch before to its own end, in the same instance. */
  readonly cycleMs: number;
}

export interface MeasuredModelOptions {
  readonly backend: InferenceBackend;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  /** As it would be served: `session` is what counts, `instances` does not. */
  readonly manifest: ModelManifest;
  readonly device: Device;
  /** Sessions, at least 1. */
  readonly instances: number;
  /** Cores of this machine: they decide where inputs are prepared, as in a worker. */
  readonly cores: number;
  readonly prepareIn: WorkerDeps['prepareIn'];
  readonly jpegDecoder: WorkerDeps['jpegDecoder'];
  /** Inputs of one row each, as jobs carry them; empty: zeros go into the model itself. */
  readonly payloads: readonly Uint8Array[];
}

/** Where inputs are prepared; `null`: there are none. */
export type PreparedWhere = 'compute' | 'threads' | null;

/** Batches an instance runs before anything is counted, or fewer when they take long. */
const warmBatches = 30;
const warmMsMax = 300;

export class MeasuredModel {
  #isWarm = false;
  readonly preparedIn: PreparedWhere;
  readonly #instances: readonly ModelInstance[];
  readonly #feed: BatchFeed;
  readonly #clock: Clock;

  private constructor(
    instances: readonly ModelInstance[],
    feed: BatchFeed,
    preparedIn: PreparedWhere,
    clock: Clock,
  ) {
    this.#instances = instances;
    this.#feed = feed;
    this.preparedIn = preparedIn;
    this.#clock = clock;
  }

  /** Loads the instances, together; the error says why one of them could not be. */
  static async open(options: MeasuredModelOptions): Promise<Result<MeasuredModel, string>> {
    const { backend, clock, cores, device, jpegDecoder, payloads, prepareIn } = options;
    invariant(options.instances >= 1, 'a model is measured with at least one instance');
    if (payloads.length > 0) {
      // Said here in words: the threads that prepare would end, each with its own trace.
      const preparer = await openPreparer({ jpegDecoder });
      if (!preparer.ok) return preparer;
      preparer.value.close();
    }
    // Sizes are warmed when their turn comes.
    const manifest = { ...options.manifest, warmupRows: [1] };
    const cls = classOf(manifest.name, manifest.version);
    const devices = Array.from({ length: options.instances }, () => device);
    const kind = device.kind === 'cpu' ? ('cpu' as const) : ('cuda' as const);
    const module =
      payloads.length === 0
        ? null
        : preparationModule(
            { cls, devices, manifest },
            {
              cores,
              device: { kind, index: device.index },
              jpegDecoder,
              payloadReaderOptions: null,
              prepareIn,
            },
          );
    const results = await Promise.all(devices.map((each) => backend.load(manifest, each, module)));
    const instances = results.flatMap((result) => (result.ok ? [result.value] : []));
    const failed = results.find((result) => !result.ok);
    if (failed !== undefined && !failed.ok) {
      await Promise.all(instances.map((instance) => instance.close()));
      return err(failed.error.detail);
    }
    const isInCompute = instances.every((instance) => instance.preparer !== null);
    const preparedIn = payloads.length === 0 ? null : isInCompute ? 'compute' : 'threads';
    const feed = await openFeed(preparedIn, { ...options, manifest });
    return ok(new MeasuredModel(instances, feed, preparedIn, clock));
  }

  /**
   * Runs batches of `rows` rows on all instances until `isEnough` says so of the samples so far, at least
   * one an instance. An error is what the model said to such a batch, or what is wrong with an input.
   */
  async run(
    rows: number,
    isEnough: (samples: readonly BatchSample[]) => boolean,
  ): Promise<Result<readonly BatchSample[], string>> {
    const samples: BatchSample[] = [];
    const first = await Promise.all(
      this.#instances.map((instance) => this.#runOn(instance, rows, this.#warming())),
    );
    this.#isWarm = true;
    const refused = first.find((reason) => reason !== null);
    if (refused !== undefined && refused !== null) return err(refused);
    let isOver = false;
    const problems = await Promise.all(
      this.#instances.map((instance) =>
        this.#runOn(instance, rows, (sample) => {
          samples.push(sample);
          isOver ||= isEnough(samples);
          return !isOver;
        }).then((reason) => {
          isOver ||= reason !== null;
          return reason;
        }),
      ),
    );
    const problem = problems.find((reason) => reason !== null);
    return problem === undefined || problem === null ? ok(samples) : err(problem);
  }

  async close(): Promise<void> {
    await Promise.all(this.#instances.map((instance) => instance.close()));
    await this.#feed.close();
  }

  /** One batch of a new size, and some of the first. */
  #warming(): () => boolean {
    const untilMs = this.#clock.nowMs() + warmMsMax;
    let left = this.#isWarm ? 1 : warmBatches;
    return () => {
      left -= 1;
      return left > 0 && this.#clock.nowMs() < untilMs;
    };
  }

  /** Batch after batch while `goesOn` says so of each; what went wrong, or null. */
  async #runOn(
    instance: ModelInstance,
    rows: number,
    goesOn: (sample: BatchSample) => boolean,
  ): Promise<string | null> {
    let made = this.#feed.next(instance, rows);
    let endedAtMs = this.#clock.nowMs();
    for (;;) {
      const batch = await made;
      if (!batch.ok) return batch.error;
      const ahead = this.#feed.isAhead ? this.#feed.next(instance, rows) : null;
      const ran = await instance.run(batch.value.items, batch.value.outputs);
      batch.value.done();
      const nowMs = this.#clock.nowMs();
      const cycleMs = nowMs - endedAtMs;
      endedAtMs = nowMs;
      const { prepareMs } = batch.value;
      const isLast = !ran.ok || !goesOn({ prepareMs, computeMs: ran.value.computeMs, cycleMs });
      if (isLast) {
        await ahead?.then(forget);
        return ran.ok ? null : ran.error.detail;
      }
      made = ahead ?? this.#feed.next(instance, rows);
    }
  }
}

function forget(batch: Result<FedBatch, string>): void {
  if (batch.ok) batch.value.done();
}

function openFeed(where: PreparedWhere, options: MeasuredModelOptions): Promise<BatchFeed> {
  switch (where) {
    case null:
      return Promise.resolve(zerosFeed(options.manifest));
    case 'compute':
      return Promise.resolve(computeFeed(options));
    case 'threads':
      return threadsFeed({ ...options, threads: options.cores });
  }
}
