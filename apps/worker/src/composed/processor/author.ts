/**
 * What a processor is written against: `import type { ProcessorContext } from 'inferry/processor'`. Types only,
 * so that `processor.ts` needs nothing installed where it runs.
 */
import type { Datatype } from '@inferry/contracts';

/** What the data of a tensor is, by its datatype. FP16 and BF16 are their 16 bits, INT64 is exact. */
interface DataOf {
  readonly BOOL: Uint8Array;
  readonly UINT8: Uint8Array;
  readonly UINT16: Uint16Array;
  readonly UINT32: Uint32Array;
  readonly UINT64: BigUint64Array;
  readonly INT8: Int8Array;
  readonly INT16: Int16Array;
  readonly INT32: Int32Array;
  readonly INT64: BigInt64Array;
  readonly FP16: Uint16Array;
  readonly BF16: Uint16Array;
  readonly FP32: Float32Array;
  readonly FP64: Float64Array;
  readonly BYTES: readonly string[];
}

export type NumericArray = DataOf[Exclude<Datatype, 'BYTES'>];

/** A tensor that a processor is given: `ProcessorTensor<'FP32'>` where its datatype is known. */
export type ProcessorTensor<D extends Datatype = Datatype> = {
  readonly [K in D]: {
    readonly datatype: K;
    readonly shape: readonly number[];
    /** Row by row. The texts of BYTES; throws where they are no UTF-8. */
    readonly data: DataOf[K];
    /** Of BYTES: each element as it came, such as a JPEG file. Empty for every other datatype. */
    readonly elements: readonly Uint8Array[];
  };
}[D];

/** A tensor that a processor gives. A {@link ProcessorTensor} is one too. */
export interface GivenTensor {
  readonly data: NumericArray | readonly (string | Uint8Array)[];
  /** One dimension of all elements when absent. */
  readonly shape?: readonly number[];
  /** Needed for BOOL, FP16 and BF16; every other follows from the kind of array. */
  readonly datatype?: Datatype;
}

export type ProcessorTensors = Readonly<Record<string, ProcessorTensor>>;
export type GivenTensors = Readonly<Record<string, GivenTensor>>;

export interface StepOptions {
  /** One of `processor.runs`; the first of them when absent. */
  readonly model?: string;
  /** A version or a label; the one that requests without a version get when absent. */
  readonly version?: string;
  /** Names of the outputs wanted; all when absent. Large ones that are not named cost nothing. */
  readonly outputs?: readonly string[];
}

export interface ProcessorContext<Inputs extends ProcessorTensors = ProcessorTensors> {
  /** By the names that model.yaml declares. One whose `data` was never read is passed on without a copy. */
  readonly inputs: Inputs;
  /** Aborted when nobody wants the answer any more: canceled, or too late. Steps reject then. */
  readonly signal: AbortSignal;
  /**
   * Runs a model on tensors under the names of its inputs, in a batch with whoever else waits for it. Several may be
   * under way at a time. Rejects with a {@link StepError} when the step fails.
   */
  readonly run: <Outputs extends ProcessorTensors = ProcessorTensors>(
    inputs: GivenTensors,
    options?: StepOptions,
  ) => Promise<Outputs>;
  /** Sends some of the outputs to a caller that streams, before the end. Rejects when they are not as declared. */
  readonly emit: (partial: GivenTensors) => Promise<void>;
  /** Writes a line to the worker's log. */
  readonly log: (message: string) => void;
}

/** Thrown by {@link ProcessorContext.run}. Not caught, it ends the job with the same code. */
export interface StepError extends Error {
  readonly name: 'StepError';
  /** An error code of Inferry, such as `model_error`. */
  readonly code: string;
  /** The model of the step. */
  readonly model: string;
}

/** What `processor.ts` exports as `generate`: all declared outputs, by name. */
export type Generate<Inputs extends ProcessorTensors = ProcessorTensors> = (
  context: ProcessorContext<Inputs>,
) => Promise<GivenTensors>;
