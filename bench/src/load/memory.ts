/**
 * Whether processes grow: their resident memory while they are under a steady load, the last quarter of the samples
 * against the second. The first does not count, since a process takes memory until it is warm.
 */
import { median } from '../quantile.ts';

/** Growth that is not held against a process, bytes: a heap breathes by as much. */
export const growthBytesMax = 64 * 1024 * 1024;

export interface MemoryVerdict {
  readonly name: string;
  /** Medians of the second and the last quarter, bytes. */
  readonly beforeBytes: number;
  readonly afterBytes: number;
  readonly isGrown: boolean;
}

/** Fewer samples tell nothing. */
const samplesMin = 8;

/** `samples` in order of time. Throws when there are too few. */
export function judgeMemory(
  name: string,
  samples: readonly number[],
  bytesMax = growthBytesMax,
): MemoryVerdict {
  if (samples.length < samplesMin) {
    throw new Error(`${name}: ${samples.length} samples of memory, needs ${samplesMin}`);
  }
  const quarter = Math.floor(samples.length / 4);
  const beforeBytes = median(samples.slice(quarter, quarter * 2));
  const afterBytes = median(samples.slice(-quarter));
  return { name, beforeBytes, afterBytes, isGrown: afterBytes - beforeBytes > bytesMax };
}
