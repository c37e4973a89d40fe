/** Fetching and preprocessing a batch, wherever it is done: what goes in and what comes out. */
import type { ClassId, Failure, JobId, JobInput, ModelManifest } from '@inferry/contracts';
import type { RunItem } from '@inferry/inference';
import type { ImagePlacement } from '@inferry/pipelines';

export interface PreparationItem {
  readonly id: JobId;
  readonly rows: number;
  /** Null when the payload did not travel with the job. */
  readonly payload: Uint8Array | null;
}

/** All of an item that is ready but its tensors. Plain data. */
export interface ReadyFacts {
  readonly kind: 'ready';
  readonly rows: number;
  /** Items of the same shape may share a run: inputs, datatypes and dimensions but the leading one agree. */
  readonly shape: string;
  /** Elements of its tensors: those that the input fills, and those that padding does. */
  readonly elements: { readonly useful: number; readonly padding: number };
  /** Names of the outputs to compute; all when empty. */
  readonly outputs: readonly string[];
  /** Where each row's image lies in its tensor. */
  readonly placements: readonly ImagePlacement[];
  /** The input without its bytes: what postprocessing wants to know of it. */
  readonly request: JobInput;
}

/** Names of the outputs that a run of these items computes; empty (all of them) when one wants all. */
export function outputsOf(items: readonly Pick<ReadyFacts, 'outputs'>[]): readonly string[] {
  if (items.some((item) => item.outputs.length === 0)) return [];
  return [...new Set(items.flatMap((item) => item.outputs))];
}

export type NotReady =
  | { readonly kind: 'refused'; readonly failure: Failure }
  /** The payload does not exist any more. */
  | { readonly kind: 'gone' }
  /** The payload could not be fetched now; it may be later. */
  | { readonly kind: 'unreachable'; readonly reason: string };

/** What became of one item. */
export type Prepared = (ReadyFacts & { readonly run: RunItem }) | NotReady;

/** Items prepared together, and how long their payloads took to fetch in ms. */
export interface PreparedChunk<Item = Prepared> {
  readonly items: readonly Item[];
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

/** What prepares for many classes, which come and go. */
export interface SharedPreparation extends Preparation {
  /**
   * For one class as this manifest says, until that is closed: only when nothing is under way in it. A class may
   * be open twice, while batches of what it was before are still served.
   */
  open(cls: ClassId, manifest: ModelManifest): Preparation;
}
