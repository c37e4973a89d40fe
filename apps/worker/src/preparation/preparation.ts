/** Fetching and preprocessing a batch, on threads or in place: what goes in and what comes out. */
import type { ClassId, Failure, JobId, JobInput, Tensor } from '@inferry/contracts';

export interface PreparationItem {
  readonly id: JobId;
  /** Null when the payload did not travel with the job. */
  readonly payload: Uint8Array | null;
}

/** What became of one item. */
export type Prepared =
  | {
      readonly kind: 'ready';
      /** In the order of the model's inputs, each in a buffer of its own. */
      readonly tensors: readonly Tensor[];
      readonly rows: number;
      /** Names of the outputs to compute; all when empty. */
      readonly outputs: readonly string[];
      /** The input without its bytes: what postprocessing wants to know of it. */
      readonly request: JobInput;
    }
  | { readonly kind: 'refused'; readonly failure: Failure }
  /** The payload does not exist any more. */
  | { readonly kind: 'gone' }
  /** The payload could not be fetched now; it may be later. */
  | { readonly kind: 'unreachable'; readonly reason: string };

/** Items prepared together, and how long their payloads took to fetch in ms. */
export interface PreparedChunk {
  readonly items: readonly Prepared[];
  readonly fetchMs: number;
}

/** An item with the local instants at which its payload was in memory and at which it was ready here. */
export interface PreparedAt {
  readonly prepared: Prepared;
  readonly fetchedAtMs: number;
  readonly preparedAtMs: number;
}

export interface Preparation {
  /** In the order of `items`. Never throws. */
  prepare(cls: ClassId, items: readonly PreparationItem[]): Promise<readonly PreparedAt[]>;
  close(): Promise<void>;
}
