/** What the main thread and a compute thread say to each other. Tensor buffers are transferred both ways. */
import type {
  ModelManifest,
  ProviderKind,
  Tensor,
  TensorSpec,
  WarmupSample,
} from '@inferry/contracts';
import type { Device, PreparationModule, RunItem, WarmupRun } from '../port.ts';

/** Given to the thread at its start. */
export interface ThreadStart {
  readonly file: string;
  readonly device: Device;
  readonly session: ModelManifest['session'];
  readonly inputs: readonly TensorSpec[];
  /** Those to compute when a run names none. */
  readonly outputs: readonly TensorSpec[];
  /** False: the model has no batch dimension, one item a run. */
  readonly isBatched: boolean;
  readonly warmupRows: readonly number[];
  readonly warmupSamples: readonly WarmupSample[];
  /** What prepares items here; null where they come as tensors. */
  readonly preparation: PreparationModule | null;
}

export type ToThread =
  | {
      readonly kind: 'run';
      readonly items: readonly RunItem[];
      readonly outputs: readonly string[];
    }
  /** The tensors of the batch stay here, under this number; those of `drop` go before. */
  | {
      readonly kind: 'prepare';
      readonly batch: number;
      readonly request: unknown;
      readonly drop: readonly number[];
    }
  | { readonly kind: 'close' };

export type FirstAnswer =
  | {
      readonly kind: 'ready';
      readonly provider: ProviderKind;
      readonly sessionMs: number;
      readonly warmupMs: number;
      readonly warmupRuns: readonly WarmupRun[];
    }
  | { readonly kind: 'unloadable'; readonly reason: string };

export type RunAnswer =
  | {
      readonly kind: 'ran';
      readonly items: readonly (readonly Tensor[])[];
      readonly computeMs: number;
    }
  | { readonly kind: 'threw'; readonly reason: string };

export interface PreparedAnswer {
  readonly kind: 'prepared';
  readonly answer: unknown;
  /** The run that has begun; its answer follows. */
  readonly running: { readonly items: number; readonly outputs: readonly string[] } | null;
}

export type FromThread = FirstAnswer | RunAnswer | PreparedAnswer;
