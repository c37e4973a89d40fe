/**
 * The only place that decodes images: compressed bytes in, 8-bit sRGB pixels of the wanted size out.
 * Orientation (EXIF) is applied, the first frame of an animation is taken, transparency is laid on black,
 * 16-bit, CMYK, palette and grey images are converted. Anything truncated, oversized or of another format is refused.
 */
import { defaultLimits, type ImageSpec } from '@inferry/contracts';
import { err, ok, type Result } from '@inferry/runtime';
import sharp, { type Sharp } from 'sharp';
import { fitImage, type ImageFit, type ImagePlacement, placementOf } from './image/fit.ts';

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

const formats = 'JPEG, PNG, WebP, GIF, AVIF or TIFF';
const channels = 3;
/** Text of a decoder shown to the caller. */
const reasonCharsMax = 160;

interface DecodedImage {
  /** RGB, 8 bits, interleaved: `width * height * 3` bytes of the spec's size. */
  readonly pixels: Uint8Array;
  readonly placement: ImagePlacement;
}

/** The image in the spec's size. Errors say why, for a person. */
export async function decodeImage(
  spec: ImageSpec,
  bytes: Uint8Array,
): Promise<Result<DecodedImage, string>> {
  if (bytes.length === 0) return err('is empty');
  try {
    const options = {
      autoOrient: spec.orient,
      failOn: 'truncated',
      limitInputPixels: defaultLimits.imagePixelsMax,
    } as const;
    const { width, height, autoOrient } = await sharp(bytes, options).metadata();
    const size = spec.orient ? autoOrient : { width, height };
    const fit = fitImage(spec, size.width, size.height);
    const image = sharp(bytes, options);
    // Before the resize, so that the colour of see-through pixels does not bleed into their neighbours.
    const [r, g, b] = spec.background;
    image.flatten({ background: { r, g, b } });
    resize(image, spec, fit);
    const { data, info } = await image
      .toColourspace('srgb')
      .raw({ depth: 'uchar' })
      .toBuffer({ resolveWithObject: true });
    if (info.width !== spec.width || info.height !== spec.height || info.channels !== channels) {
      return err(`decodes to ${info.width}x${info.height} with ${info.channels} channels`);
    }
    return ok({ pixels: data, placement: placementOf(fit, size.width, size.height) });
  } catch (cause) {
    return err(reasonOf(cause));
  }
}

function resize(image: Sharp, spec: ImageSpec, { x, y }: ImageFit): void {
  const kernel = spec.interpolation;
  if (spec.fit !== 'contain') {
    image.resize(spec.width, spec.height, { fit: spec.fit, kernel });
    return;
  }
  const grey = typeof spec.pad === 'number' ? spec.pad : 0;
  image.resize(x.count, y.count, { fit: 'fill', kernel }).extend({
    left: x.start,
    top: y.start,
    right: spec.width - x.count - x.start,
    bottom: spec.height - y.count - y.start,
    extendWith: spec.pad === 'edge' ? 'copy' : 'background',
    background: { r: grey, g: grey, b: grey },
  });
}

function reasonOf(cause: unknown): string {
  const text = cause instanceof Error ? (cause.message.split('\n')[0] ?? '') : String(cause);
  if (text.includes('pixel limit')) {
    return `has more than ${defaultLimits.imagePixelsMax} pixels`;
  }
  if (text.includes('unsupported image format')) return `is not a ${formats} image`;
  return `cannot be decoded: ${text.slice(0, reasonCharsMax)}`;
}
