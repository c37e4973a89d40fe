/**
 * Where the batches of a measurement come from: tensors of zeros, or inputs that are prepared as a worker
 * prepares them, in the compute thread itself or in threads of their own.
 */
import {
  type ClassId,
  classOf,
  defaultLimits,
  fullInputs,
  type ModelManifest,
  newJobId,
} from '@inferry/contracts';
import { type ModelInstance, type RunItem, sampledInputs, zeros } from '@inferry/inference';
import { type Clock, err, invariant, ok, type Random, type Result } from '@inferry/runtime';
import type { Logger } from '@inferry/telemetry';
import { heldItems } from '../preparation/in-slot.ts';
import { type PoolOptions, startPreparationPool } from '../preparation/pool.ts';
import type { Prepared, PreparationItem } from '../preparation/preparation.ts';
import type { SlotAnswer, SlotRequest } from '../preparation/slot-thread.ts';

/** A batch that is ready to run. */
export interface FedBatch {
  readonly items: readonly RunItem[];
  /** Names of the outputs to compute; all when empty. */
  readonly outputs: readonly string[];
  readonly prepareMs: number;
  /** It has run. */
  done(): void;
}

export interface BatchFeed {
  /** Whether the next batch is made while one runs; where it is made in the instance's thread it cannot be. */
  readonly isAhead: boolean;
  /** The error says what is wrong with an input. */
  next(instance: ModelInstance, rows: number): Promise<Result<FedBatch, string>>;
  close(): Promise<void>;
}

export interface InputFeedOptions {
  readonly manifest: ModelManifest;
  /** Inputs of one row each, as jobs carry them; at least one. Each batch takes the next ones, in turn. */
  readonly payloads: readonly Uint8Array[];
  readonly clock: Clock;
  readonly random: Random;
}

/** What a caller of a model without a pipeline sends, as far as its signature and its warm-up tell. */
export function zerosFeed(manifest: ModelManifest): BatchFeed {
  const inputs = sampledInputs({
    inputs: fullInputs(manifest),
    isBatched: manifest.maxBatchSize > 0,
    warmupSamples: manifest.warmupSamples ?? [],
  });
  return {
    isAhead: false,
    next: (_, rows) => {
      const items = [{ tensors: inputs.map((input) => zeros(input, rows)), rows }];
      return Promise.resolve(ok({ items, outputs: [], prepareMs: 0, done: () => undefined }));
    },
    close: () => Promise.resolve(),
  };
}

/** The instances were loaded with the preparation module of their worker. */
export function computeFeed(options: InputFeedOptions): BatchFeed {
  const { clock, manifest } = options;
  const cls = classOf(manifest.name, manifest.version);
  const take = taker(options);
  return {
    isAhead: false,
    async next({ preparer }, rows) {
      invariant(preparer !== null, 'the instances prepare');
      const request: SlotRequest = { cls, items: take(rows), isRunNext: true };
      const startedAtMs = clock.nowMs();
      const prepared = await preparer.prepare(request);
      const prepareMs = clock.nowMs() - startedAtMs;
      if (!prepared.ok) return err(prepared.error.detail);
      const { batch } = prepared.value;
      const fed = fedBatch(heldItems(prepared.value.answer as SlotAnswer, batch), prepareMs);
      const done = (): void => preparer.drop(batch);
      if (!fed.ok) done();
      return fed.ok ? ok({ ...fed.value, done }) : fed;
    },
    close: () => Promise.resolve(),
  };
}

/** As many threads as the machine has cores prepare while the instances run. */
export async function threadsFeed(
  options: InputFeedOptions & {
    readonly threads: number;
    readonly jpegDecoder: PoolOptions['jpegDecoder'];
    readonly logger: Logger;
  },
): Promise<BatchFeed> {
  const { clock, jpegDecoder, logger, manifest, threads } = options;
  const cls: ClassId = classOf(manifest.name, manifest.version);
  const take = taker(options);
  const manifests = new Map([[cls, manifest]]);
  const pool = await startPreparationPool({
    // Whoever measures ends the process when its time is over.
    chunkMsMax: defaultLimits.preparationMsMax,
    onStuck: () => undefined,
    manifests,
    payloadReaderOptions: null,
    jpegDecoder,
    threads,
    clock,
    logger,
  });
  return {
    isAhead: true,
    async next(_, rows) {
      const startedAtMs = clock.nowMs();
      const prepared = await pool.prepare(cls, take(rows));
      const prepareMs = clock.nowMs() - startedAtMs;
      return fedBatch(
        prepared.map((item) => item.prepared),
        prepareMs,
      );
    },
    close: () => pool.close(),
  };
}

function taker({ payloads, random }: InputFeedOptions): (rows: number) => PreparationItem[] {
  invariant(payloads.length > 0, 'a batch is made of inputs');
  let taken = 0;
  return (rows) =>
    Array.from({ length: rows }, () => {
      const payload = payloads[taken % payloads.length] ?? null;
      taken += 1;
      return { id: newJobId(0, random), rows: 1, payload };
    });
}

/** An error where an input is refused, or where two of them cannot share a run. */
function fedBatch(prepared: readonly Prepared[], prepareMs: number): Result<FedBatch, string> {
  const shapes = new Set<string>();
  const items: RunItem[] = [];
  let outputs: readonly string[] = [];
  for (const item of prepared) {
    if (item.kind === 'refused') return err(`an input is refused: ${item.failure.detail}`);
    invariant(item.kind === 'ready', 'payloads that are at hand need not be fetched');
    shapes.add(item.shape);
    items.push(item.run);
    ({ outputs } = item);
  }
  if (shapes.size > 1) {
    return err('the inputs have different shapes, which cannot share a batch: give inputs alike');
  }
  return ok({ items, outputs, prepareMs, done: () => undefined });
}
