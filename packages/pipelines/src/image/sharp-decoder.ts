/**
 * Decoding with sharp: every format but JPEG, and JPEG where libjpeg-turbo is not used or not sure. The
 * first frame of an animation is taken, transparency is laid on the background, 16-bit, CMYK, palette and
 * grey images are converted. Anything truncated, oversized or of another format is refused.
 */
import { defaultLimits, type ImageSpec } from '@inferry/contracts';
import { err, ok, type Result } from '@inferry/runtime';
import sharp, { type Sharp } from 'sharp';

// Parallelism comes from many decodes in flight, not from threads inside one; inputs do not repeat.
sharp.concurrency(1);
sharp.cache(false);
// Vector and document loaders (SVG, PDF) run code paths nobody needs here: only these decoders exist.
sharp.block({ operation: ['VipsForeignLoad'] });
sharp.unblock({
  operation: [
    'VipsForeignLoadJpegBuffer',
    'VipsForeignLoadPngBuffer',
    'VipsForeignLoadWebpBuffer',
    'VipsForeignLoadNsgifBuffer',
    'VipsForeignLoadHeifBuffer',
    'VipsForeignLoadTiffBuffer',
  ],
});

export const sharpDescription = `sharp ${sharp.versions.sharp} (libvips ${sharp.versions.vips})`;

const formats = 'JPEG, PNG, WebP, GIF, AVIF or TIFF';
/** Text of a decoder shown to the caller. */
const reasonCharsMax = 160;

export interface SharpDecoding {
  /** Of the result. */
  readonly width: number;
  readonly height: number;
  /** The result is smaller than the image. */
  readonly isReduced: boolean;
  /** Turn the image as its EXIF orientation says. */
  readonly isTurned: boolean;
  /** Red, green and blue, 0..255, under transparent pixels. */
  readonly background: readonly [number, number, number];
  readonly interpolation: ImageSpec['interpolation'];
  /** Longest time, in whole seconds. */
  readonly msMax: number;
}

interface Size {
  readonly width: number;
  readonly height: number;
}

/** The size of the image, turned when asked for. Errors say why it cannot be used, for a person. */
export async function sizeOf(bytes: Uint8Array, isTurned: boolean): Promise<Result<Size, string>> {
  try {
    const { width, height, autoOrient } = await open(bytes, isTurned).metadata();
    const { imageSideMax } = defaultLimits;
    if (Math.max(width, height) > imageSideMax) {
      return err(`is ${width}x${height} pixels large; a side may have ${imageSideMax}`);
    }
    return ok(isTurned ? autoOrient : { width, height });
  } catch (cause) {
    return err(reasonOf(cause));
  }
}

/** The pixels: RGB, 8 bits, rows without gaps. Errors say why not, for a person. */
export async function decodeWithSharp(
  bytes: Uint8Array,
  decoding: SharpDecoding,
): Promise<Result<Uint8Array, string>> {
  try {
    const { width, height, isReduced, interpolation: kernel } = decoding;
    const image = open(bytes, decoding.isTurned);
    const [r, g, b] = decoding.background;
    // Before the resize, so that the colour of see-through pixels does not bleed into their neighbours.
    image.flatten({ background: { r, g, b } });
    if (isReduced) image.resize(width, height, { fit: 'fill', kernel, fastShrinkOnLoad: true });
    const { data, info } = await image
      .toColourspace('srgb')
      .timeout({ seconds: Math.ceil(decoding.msMax / 1_000) })
      .raw({ depth: 'uchar' })
      .toBuffer({ resolveWithObject: true });
    if (info.width !== width || info.height !== height || info.channels !== 3) {
      return err(`decodes to ${info.width}x${info.height} with ${info.channels} channels`);
    }
    return ok(data);
  } catch (cause) {
    return err(reasonOf(cause));
  }
}

function open(bytes: Uint8Array, isTurned: boolean): Sharp {
  return sharp(bytes, {
    autoOrient: isTurned,
    failOn: 'truncated',
    limitInputPixels: defaultLimits.imagePixelsMax,
    // Models are trained on the numbers that a file holds, which no tool of training converts.
    ignoreIcc: true,
  });
}

function reasonOf(cause: unknown): string {
  const text = cause instanceof Error ? (cause.message.split('\n')[0] ?? '') : String(cause);
  if (text.includes('pixel limit')) {
    return `has more than ${defaultLimits.imagePixelsMax} pixels`;
  }
  if (text.includes('unsupported image format')) return `is not a ${formats} image`;
  if (text.includes('timeout')) return 'takes too long to decode';
  return `cannot be decoded: ${text.slice(0, reasonCharsMax)}`;
}
