/** At which scale an image is decoded before it is resized: no larger than the result needs. */
import type { ImageSpec } from '@inferry/contracts';
import type { ImageFit } from './fit.ts';

/** JPEG is decoded at eighths of its size, which leaves out work instead of adding some. */
export const eighthsMax = 8;
/**
 * Those that decoders have fast code for. Of a photo of 1200x727, 4/8 takes 2.8 ms with the resize to
 * 224x224, where 3/8 takes 3.0, 5/8 4.3, and 8/8 3.6 (`npm run bench:image`).
 */
const fastEighths = [1, 2, 4, eighthsMax];
/**
 * Decoded pixels that a pixel of the tensor has at least, by axis. With 1.0 a tenth to a fifth of the values
 * differ from a resize of the whole photo by more than 8 of 255 levels, with 1.4 a thirtieth, with 2.0 a
 * hundredth; more costs time with half of all sizes.
 */
const pixelsMin = 1.4;

/** Nearest takes pixels as they are, so it gets them all. */
export function decodedEighths(spec: ImageSpec, fit: ImageFit): number {
  if (spec.interpolation === 'nearest') return eighthsMax;
  const needed = Math.max(needOf(fit.x), needOf(fit.y)) * pixelsMin * eighthsMax;
  return fastEighths.find((eighths) => eighths >= needed) ?? eighthsMax;
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
export function reducedShare(
  spec: ImageSpec,
  fit: ImageFit,
  width: number,
  height: number,
): number {
  if (spec.interpolation === 'nearest' || width * height <= wholePixelsMax) return 1;
  return Math.min(1, Math.max(needOf(fit.x), needOf(fit.y)) * pixelsKept);
}
