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
  run(items: readonly Item[], outputs: readonly string[]): Promise<Result<RunOutput, RunFailure>>;
  /** Only when no run is in flight: ending a busy thread would abort the process. */
  close(): Promise<void>;
}

export interface InferenceBackend {
  /**
   * Loads and warms one instance; resolves when it is ready to serve. Fails, and never falls back,
   * when the provider is missing or the model cannot be loaded.
   */
  load(manifest: ModelManifest, device: Device): Promise<Result<ModelInstance, LoadFailure>>;
}
