/**
 * The inference port: a loaded model that runs batches. `backend.contract.ts` states the promises as
 * tests; `onnx/` and `simulated/` keep them.
 */
import type { Failure, ModelManifest, ProviderKind, Tensor } from '@inferry/contracts';
import type { Result } from '@inferry/runtime';

export interface Device {
  readonly kind: ProviderKind;
  /** Device ordinal for cuda and tensorrt; 0 on cpu. */
  readonly index: number;
}

/** Tensors of one job. All items of a run have the same inputs, datatypes and non-batch dimensions. */
export interface Item {
  readonly tensors: readonly Tensor[];
  /** Length of the leading dimension; 1 where the model has no batch dimension. */
  readonly rows: number;
}

/** An item whose tensors lie in the instance's own thread, where {@link ThreadPreparer} put them. */
interface HeldItem {
  readonly held: HeldPlace;
  readonly rows: number;
}

export interface HeldPlace {
  /** As `prepare` named it. */
  readonly batch: number;
  /** Position in the batch. */
  readonly position: number;
}

export type RunItem = Item | HeldItem;

export interface RunOutput {
  /** For each item, in order: its share of the outputs. */
  readonly items: readonly (readonly Tensor[])[];
  /** Time inside `session.run`, ms. */
  readonly computeMs: number;
}

export type LoadFailure = Failure & { readonly code: 'model_unavailable' };
/** The model threw. The batch may hold one bad item: the caller isolates it. */
export type RunFailure = Failure & { readonly code: 'model_error' };

/** One run of zeros before the instance was ready. */
export interface WarmupRun {
  readonly rows: number;
  readonly ms: number;
}

/**
 * One session in one compute thread. `run` is called by one caller at a time; the tensors' buffers are
 * transferred and must not be used afterwards.
 */
export interface ModelInstance {
  /** What the session runs on, read from a real run. */
  readonly provider: ProviderKind;
  readonly device: Device;
  /** Per phase, ms. */
  readonly loadMs: { readonly session: number; readonly warmup: number };
  /** The warm-up runs that were timed: of each size warmed, every run but the first. */
  readonly warmupRuns: readonly WarmupRun[];
  /**
   * Stacks the items along the leading dimension, runs once, splits the outputs. `outputs` names the
   * outputs to compute (all when empty). A run that hangs never resolves; a native crash ends the process.
   */
  run(
    items: readonly RunItem[],
    outputs: readonly string[],
  ): Promise<Result<RunOutput, RunFailure>>;
  /** Null where the backend was not told how to prepare, or cannot. */
  readonly preparer: ThreadPreparer | null;
  /** Only when no run is in flight: ending a busy thread would abort the process. */
  close(): Promise<void>;
}

/** Prepares items in the thread that will run them, so that their tensors never travel. */
export interface ThreadPreparer {
  /**
   * What the {@link ThreadPreparation} made of `request`; its tensors stay in the thread until the batch is
   * dropped. Called when nothing else is under way. An error: the thread ended over it.
   */
  prepare(request: unknown): Promise<Result<PreparedInThread, RunFailure>>;
  /** False once the thread that held the batch is gone. */
  holds(batch: number): boolean;
  /** No run is of the batch any more: its memory is used again. */
  drop(batch: number): void;
  /** Resolves when a run that began with its preparation, and that nobody asked for, is over; null when there is none. */
  unwanted(): Promise<void> | null;
}

export interface PreparedInThread {
  readonly batch: number;
  /** Plain data. */
  readonly answer: unknown;
}

/** Where compute threads find what prepares items in them. Plain data: it travels to the thread. */
export interface PreparationModule {
  /** URL of a module that exports `openThreadPreparation`, an {@link OpenThreadPreparation}. */
  readonly url: string;
  readonly data: unknown;
}

/** Called once a thread, with the data of the {@link PreparationModule}. */
export type OpenThreadPreparation = (data: unknown) => Promise<ThreadPreparation>;

/** Inside a compute thread. What it throws ends the thread. */
export interface ThreadPreparation {
  prepare(request: unknown): Promise<HeldBatch>;
  close(): Promise<void>;
}

export interface HeldBatch {
  /** Plain data, for whoever asked. */
  readonly answer: unknown;
  /**
   * The run of the whole batch, in order, that will most likely be asked for: it begins at once, while the
   * answer travels. Another run may be asked for all the same. Null where none is likely.
   */
  readonly expected: {
    readonly rows: readonly number[];
    readonly outputs: readonly string[];
  } | null;
  /** Of the item at this position; views that hold until something else is prepared. */
  readonly tensors: (position: number) => readonly Tensor[];
  readonly close: () => void;
}

export interface InferenceBackend {
  /**
   * Loads and warms one instance; resolves when it is ready to serve. Fails, and never falls back,
   * when the provider is missing or the model cannot be loaded. `preparation`: what prepares items in the
   * instance's thread; null where they come as tensors.
   */
  load(
    manifest: ModelManifest,
    device: Device,
    preparation?: PreparationModule | null,
  ): Promise<Result<ModelInstance, LoadFailure>>;
}
