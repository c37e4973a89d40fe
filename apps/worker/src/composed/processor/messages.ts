/** What the main thread and the thread of a processor say to each other. */
import type { Failure, Tensor, TensorSpec } from '@inferry/contracts';

export interface ProcessorThreadData {
  /** Absolute path of processor.ts, .js or .mjs. */
  readonly file: string;
  /** What its folder may be called in errors. */
  readonly folders: readonly string[];
  /** Models that it may run; the first is the default. */
  readonly runs: readonly string[];
  readonly outputs: readonly TensorSpec[];
  readonly bounds: GenerationBounds;
  /**
   * One number: the job whose code runs at the moment, 0 where that is not known. Shared, because a thread that
   * hangs answers nothing.
   */
  readonly running: Int32Array;
}

interface GenerationBounds {
  readonly stepsMax: number;
  readonly stepsAtATimeMax: number;
  readonly outputBytesMax: number;
}

/** A tensor of a step, or an input of the job that the main thread has still got. */
export type StepTensor = Tensor | { readonly name: string; readonly input: string };

interface StepMessage {
  readonly model: string;
  readonly version: string | null;
  readonly tensors: readonly StepTensor[];
  readonly outputs?: readonly string[];
}

/** What came of something that was asked for. */
export type Answer<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly error: Failure };

/** Jobs, steps and emissions are numbered; numbers are never used again. */
export type ToThread =
  | { readonly kind: 'generate'; readonly job: number; readonly inputs: readonly Tensor[] }
  | {
      readonly kind: 'stepped';
      readonly job: number;
      readonly step: number;
      readonly answer: Answer<readonly Tensor[]>;
    }
  | {
      readonly kind: 'emitted';
      readonly job: number;
      readonly emission: number;
      readonly answer: Answer<null>;
    }
  | { readonly kind: 'abort'; readonly job: number; readonly reason: string }
  | { readonly kind: 'ping' };

export type FromThread =
  | { readonly kind: 'loaded' }
  /** For the operator: file, line and message. */
  | { readonly kind: 'unloadable'; readonly reason: string }
  | {
      readonly kind: 'step';
      readonly job: number;
      readonly step: number;
      readonly request: StepMessage;
    }
  | {
      readonly kind: 'emit';
      readonly job: number;
      readonly emission: number;
      readonly tensors: readonly Tensor[];
    }
  | { readonly kind: 'log'; readonly job: number; readonly text: string }
  | {
      readonly kind: 'ended';
      readonly job: number;
      readonly answer: Answer<readonly Tensor[]>;
      /** Of an exception of the processor's own: for the log. */
      readonly stack?: string;
    }
  | { readonly kind: 'pong' };
