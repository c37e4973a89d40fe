/** What the families of detectors have in common: they score boxes, and know where a box lies. */
import { invariant } from '@inferry/runtime';
import type { Candidates } from './candidates.ts';
import type { CornersOf } from './geometry.ts';
import type { ScoreRule } from './scores.ts';

/** The outputs of one image, in the order of `detectOutputs`, each as its numbers. */
export type RowValues = readonly Float32Array[];

/** One image, read. */
export interface RowReader {
  /** Adds every box that reaches the threshold, in the family's order. */
  collect(rule: ScoreRule, into: Candidates): void;
  readonly corners: CornersOf;
}

export interface Family {
  /** Whether outputs with so many numbers an image are what the spec describes. */
  fits(counts: readonly number[]): boolean;
  /** For outputs that fit. */
  read(row: RowValues): RowReader;
}

export function outputAt(row: RowValues, index: number): Float32Array {
  const values = row[index];
  invariant(values !== undefined, 'every output of the spec was found');
  return values;
}
