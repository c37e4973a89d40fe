/**
 * Partial outputs: what a running job tells of its answer before its end, kept with the job for whoever
 * follows it. They belong to the claim that told them: a job that is started anew tells them anew, and those
 * that the lost claim told are void.
 */
import {
  type ClassId,
  type Failure,
  failure,
  type JobEnvelope,
  type JobOutput,
} from '@inferry/contracts';
import type { Result } from '@inferry/runtime';
import type { Claim, Unavailable } from './port.ts';

/** Where a reader stands: behind so many partial outputs of one start of the job. */
export interface PartialMark {
  /** Rises with each start of the job that tells partial outputs; 0 before the first. */
  readonly epoch: number;
  /** The n-th of its epoch, from 1; 0 before the first. */
  readonly number: number;
}

export interface PartialOutput {
  readonly mark: PartialMark;
  readonly output: JobOutput;
}

export interface PartialsRead {
  /** `gone`: nothing of the job is left, also when it has never been. */
  readonly state: 'queued' | 'running' | 'ended' | 'gone';
  /** Starts so far; 0 once the job has ended. */
  readonly attempt: number;
  /** What the reader has read is void: {@link partials} begin with the first that counts. */
  readonly isReset: boolean;
  /** In order; at most 64 a call, and no more once they have 256 KiB. */
  readonly partials: readonly PartialOutput[];
  /** There are more than these. */
  readonly hasMore: boolean;
}

/** Why a partial output is not kept. */
export type PartialRefusal = Failure & {
  readonly code: 'output_too_large' | 'storage_exhausted' | 'queue_unavailable';
};

export interface PartialStore {
  /**
   * Keeps a partial output until the outcome of the job goes, and tells who follows it. `number`: the n-th of
   * this claim, from 1; one that was kept already is not kept twice, so that a call whose reply was lost is
   * made again. `lost`: the claim does not hold the job any more, and nothing is kept. Errors:
   * `output_too_large` beyond the number or the bytes that one job may have, `storage_exhausted`,
   * `queue_unavailable`.
   */
  emit(
    cls: ClassId,
    claim: Claim,
    number: number,
    output: JobOutput,
  ): Promise<Result<'told' | 'lost', PartialRefusal>>;

  /**
   * Hears of a job from the first read on: `wake` is called when there may be something new to read (a partial
   * output, a start, the end), and about once a second besides, so that a message that was lost does no harm.
   */
  follow(job: Pick<JobEnvelope, 'id' | 'class'>, wake: () => void): Follower;
}

export interface Follower {
  /** What comes after `mark`. Once it says `ended` nothing more is told. */
  read(mark: PartialMark): Promise<Result<PartialsRead, Unavailable>>;
  /** No more calls of `wake`. */
  stop(): void;
}

/** What one read answers at most: so many, and none after the one with which they have so many bytes. */
export const partialsPerRead = 64;
export const partialBytesPerRead = 256 * 1024;

export interface PartialLimits {
  readonly partialsPerJobMax: number;
  /** As encoded. */
  readonly partialBytesPerJobMax: number;
}

/** The refusals every implementation gives, in the same words. */
export function tooManyPartials(
  what: 'number' | 'bytes',
  { partialBytesPerJobMax, partialsPerJobMax }: PartialLimits,
): PartialRefusal {
  const detail =
    what === 'number'
      ? `The job has told ${partialsPerJobMax} partial outputs, the limit of a job.`
      : `The partial outputs of the job would take more than ${partialBytesPerJobMax} bytes, the limit of a job.`;
  return { ...failure('output_too_large', detail), code: 'output_too_large' };
}
