/** At which scale an image is decoded before it is resized: no larger than the result needs. */
import type { ImageSpec } from '@inferry/contracts';
import type { ImageFit } from './fit.ts';

/** JPEG is decoded at eighths of its size, which leaves out work instead of adding some. */
export const eighthsMax = 8;

/**
 * The fewest eighths of `allowed` (ascending, up to 8) at which the part that is needed still has a pixel
 * for each of the tensor's. Nearest takes pixels as they are, so it gets them all.
 */
export function decodedEighths(spec: ImageSpec, fit: ImageFit, allowed: readonly number[]): number {
  if (spec.interpolation === 'nearest') return eighthsMax;
  const needed = Math.max(needOf(fit.x), needOf(fit.y)) * eighthsMax;
  return allowed.find((eighths) => eighths >= needed) ?? eighthsMax;
}

/** Tensor pixels a source pixel. */
function needOf({ from, to, count }: ImageFit['x']): number {
  return count / (to - from);
}

/** Images up to this size are resized in one step. */
const wholePixelsMax = 8_000_000;
/** Larger ones are first made smaller, to no less than so many pixels a pixel of the tensor and axis. */
const pixelsKept = 2;

/** The share of its size at which an image that has no eighths comes into the kernel's memory. */
export function reducedShare(fit: ImageFit, width: number, height: number): number {
  if (width * height <= wholePixelsMax) return 1;
  return Math.min(1, Math.max(needOf(fit.x), needOf(fit.y)) * pixelsKept);
}
