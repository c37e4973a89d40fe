/** At which scale an image is decoded before it is resized: no larger than the result needs. */
import type { ImageSpec } from '@inferry/contracts';
import type { ImageFit } from './fit.ts';
import type { SourceSize } from './resize-plan.ts';

/** JPEG can be decoded at eighths of its size, which leaves out work instead of adding some. */
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

/** For libjpeg-turbo. Nearest takes pixels as they are, so it gets them all. */
export function decodedEighths(spec: ImageSpec, fit: ImageFit): number {
  if (spec.interpolation === 'nearest') return eighthsMax;
  const needed = Math.max(needOf(fit.x), needOf(fit.y)) * pixelsMin * eighthsMax;
  return fastEighths.find((eighths) => eighths >= needed) ?? eighthsMax;
}

/** Tensor pixels a source pixel. */
function needOf({ from, to, count }: ImageFit['x']): number {
  return count / (to - from);
}

/** libvips decodes a JPEG at a smaller scale where a third of each side or less is wanted of it. */
const fastShareMax = 1 / 3;
/** Other images up to this size come into the kernel's memory as they are. */
const wholePixelsMax = 8_000_000;

/**
 * The size that sharp is asked for, of an image as it is stored: that of the tensor's pixels where sharp
 * then has less to decode or the kernel too much to hold, else the whole. `fit` is by stored axis.
 */
export function sharpSize(
  spec: ImageSpec,
  fit: ImageFit,
  width: number,
  height: number,
  isJpeg: boolean,
): SourceSize {
  const needX = needOf(fit.x);
  const needY = needOf(fit.y);
  const need = Math.max(needX, needY);
  const isReduced = isJpeg ? need <= fastShareMax : need < 1 && width * height > wholePixelsMax;
  const isWhole = spec.interpolation === 'nearest' || !isReduced;
  const decodedWidth = isWhole ? width : Math.max(1, Math.round(width * needX));
  const decodedHeight = isWhole ? height : Math.max(1, Math.round(height * needY));
  const scaleX = decodedWidth / width;
  const scaleY = decodedHeight / height;
  return { width, height, decodedWidth, decodedHeight, scaleX, scaleY };
}
