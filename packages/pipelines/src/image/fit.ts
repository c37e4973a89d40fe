/**
 * Where an image lies in its tensor: which part of the source fills which tensor pixels, by axis. Pure
 * arithmetic; sizes are those after orientation.
 */
import type { ImageSpec } from '@inferry/contracts';

/** The tensor pixels `start` to `start + count` show the source from `from` to `to`, in source pixels. */
export interface AxisFit {
  readonly from: number;
  readonly to: number;
  readonly start: number;
  readonly count: number;
}

export interface ImageFit {
  readonly x: AxisFit;
  readonly y: AxisFit;
}

/**
 * tensor pixel = source pixel * scale + offset, by axis; the source is the image after orientation, and
 * whole numbers are the edges of pixels. Plain data.
 */
export interface ImagePlacement {
  readonly sourceWidth: number;
  readonly sourceHeight: number;
  readonly scaleX: number;
  readonly scaleY: number;
  readonly offsetX: number;
  readonly offsetY: number;
}

type Frame = Pick<ImageSpec, 'fit' | 'width' | 'height' | 'cropPct'>;

/**
 * fill: all of the source in all of the tensor. contain: all of it, in the middle, sides rounded to whole
 * pixels. cover: resized until it covers the tensor and more (`cropPct`), then the middle is cut out, with
 * the rounding of torchvision's Resize and CenterCrop, so that trained models see the pixels they know.
 */
export function fitImage(spec: Frame, sourceWidth: number, sourceHeight: number): ImageFit {
  switch (spec.fit) {
    case 'fill':
      return {
        x: { from: 0, to: sourceWidth, start: 0, count: spec.width },
        y: { from: 0, to: sourceHeight, start: 0, count: spec.height },
      };
    case 'contain': {
      const factor = Math.min(spec.width / sourceWidth, spec.height / sourceHeight);
      return {
        x: contained(sourceWidth, factor, spec.width),
        y: contained(sourceHeight, factor, spec.height),
      };
    }
    case 'cover': {
      const width = enlarged(spec.width, spec.cropPct);
      const height = enlarged(spec.height, spec.cropPct);
      const factorX = width / sourceWidth;
      const factorY = height / sourceHeight;
      const isWide = factorX < factorY;
      const resizedWidth = isWide ? Math.trunc(sourceWidth * factorY + rounding) : width;
      const resizedHeight = isWide ? height : Math.trunc(sourceHeight * factorX + rounding);
      return {
        x: covered(sourceWidth, resizedWidth, spec.width),
        y: covered(sourceHeight, resizedHeight, spec.height),
      };
    }
  }
}

export function placementOf(
  { x, y }: ImageFit,
  sourceWidth: number,
  sourceHeight: number,
): ImagePlacement {
  const scaleX = x.count / (x.to - x.from);
  const scaleY = y.count / (y.to - y.from);
  return {
    sourceWidth,
    sourceHeight,
    scaleX,
    scaleY,
    offsetX: x.start - x.from * scaleX,
    offsetY: y.start - y.from * scaleY,
  };
}

/** Pixels of the tensor that no source pixel fills, of all the images. */
export function paddedPixels(
  { width, height }: Pick<ImageSpec, 'width' | 'height'>,
  placements: readonly ImagePlacement[],
): number {
  return placements.reduce((sum, { scaleX, scaleY, sourceWidth, sourceHeight }) => {
    // An image that is cut would fill more than there is.
    const filledWidth = Math.min(width, Math.round(sourceWidth * scaleX));
    const filledHeight = Math.min(height, Math.round(sourceHeight * scaleY));
    return sum + width * height - filledWidth * filledHeight;
  }, 0);
}

/** What a quotient that should be whole may be short of it. */
const rounding = 1e-9;

/** 224 at a crop of 0.875 is cut out of 256. */
function enlarged(size: number, cropPct: number): number {
  return Math.floor(size / cropPct + rounding);
}

function contained(source: number, factor: number, target: number): AxisFit {
  const count = Math.min(target, Math.max(1, Math.round(source * factor)));
  return { from: 0, to: source, start: Math.floor((target - count) / 2), count };
}

function covered(source: number, resized: number, target: number): AxisFit {
  const cut = halfToEven((resized - target) / 2);
  const unit = source / resized;
  return { from: cut * unit, to: (cut + target) * unit, start: 0, count: target };
}

/** As Python rounds. */
function halfToEven(value: number): number {
  const floor = Math.floor(value);
  const isHalf = value - floor === 0.5;
  return isHalf ? floor + (floor % 2) : Math.round(value);
}
