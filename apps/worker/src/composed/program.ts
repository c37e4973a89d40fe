/**
 * What a composed model does with one job: an ensemble's steps, or `generate` of a processor. A program computes
 * nothing heavy itself: its steps are jobs of other models, each in line and in batches with everybody else's.
 */
import type { Failure, Tensor } from '@inferry/contracts';
import type { Result } from '@inferry/runtime';

export interface StepRequest {
  /** As callers name it. */
  readonly model: string;
  /** A version or a label; null for the one that a request without a version gets. */
  readonly version: string | null;
  /** Under the names of the model's inputs. */
  readonly tensors: readonly Tensor[];
  /** Names of the outputs wanted; all when absent. */
  readonly outputs?: readonly string[];
  /**
   * Tells the step from the others of its job, where the job would send it again, and the same, if it began anew:
   * what became of it before its worker was lost is found again then. Absent: it runs again.
   */
  readonly key?: string;
}

export interface ProgramContext {
  /** Aborted when nobody wants the job any more: canceled, late, or not this worker's. */
  readonly signal: AbortSignal;
  /** What ran it was lost under it before: it shares a thread with no other job. */
  readonly isSuspect: boolean;
  /** Runs a step as a job of its model, for the job's tenant, at its priority, within what is left of its time. */
  readonly step: (request: StepRequest) => Promise<Result<readonly Tensor[], Failure>>;
  /** Tells the caller a part of the answer before the end. Resolves when it is on its way. */
  readonly emit: (tensors: readonly Tensor[]) => Promise<void>;
}

/**
 * The job has no outcome: what ran it was lost, with other jobs in it, and nobody knows which was the cause. It
 * goes back to its place in the queue.
 */
export interface ProgramLost {
  readonly code: 'program_lost';
  /** False where another job is known to have been the cause. */
  readonly asSuspect: boolean;
}

export interface Program {
  /** The outputs of the job, under the names of the composed model. Never rejects for what a step or its input does. */
  run(
    inputs: readonly Tensor[],
    context: ProgramContext,
  ): Promise<Result<readonly Tensor[], Failure | ProgramLost>>;
  /** Only when no run is under way. */
  close(): Promise<void>;
}
