/** When batches of one size have been repeated often enough. Pure. */
import type { BatchSample } from '@inferry/worker';
import { uncertaintyOf } from './curve.ts';

/** Of one size: so many batches an instance, unless time is short. */
const batchesMin = 8;
/** Without these the scheduler would not believe a size. */
export const batchesLeast = 3;
const batchesMax = 2_000;
/** A mean that is known so well is known well enough. */
const uncertaintyMax = 0.02;
/** A size is measured at least so long, so that a short disturbance is not all there is. */
const sizeMsMin = 150;

/** Whether these batches of one size say what a batch takes, or there is no time for more. */
export function isEnough(
  samples: readonly BatchSample[],
  instances: number,
  time: { readonly spentMs: number; readonly sizeMs: number; readonly leftMs: number },
): boolean {
  const { leftMs, sizeMs, spentMs } = time;
  if (samples.length >= batchesMax || spentMs >= leftMs) return true;
  if (samples.length < batchesLeast) return false;
  if (spentMs >= sizeMs) return true;
  if (samples.length < batchesMin * instances || spentMs < sizeMsMin) return false;
  const batchMs = samples.map(({ computeMs, prepareMs }) => computeMs + prepareMs);
  return uncertaintyOf(batchMs) <= uncertaintyMax;
}
