/**
 * The only place that decodes images: compressed bytes in, 8-bit sRGB pixels of the wanted size out.
 * Orientation (EXIF) is applied, the first frame of an animation is taken, transparency is laid on black,
 * 16-bit, CMYK, palette and grey images are converted. Anything truncated, oversized or of another format is refused.
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

const formats = 'JPEG, PNG, WebP, GIF, AVIF or TIFF';
const channels = 3;
/** Text of a decoder shown to the caller. */
const reasonCharsMax = 160;

/** RGB, 8 bits, interleaved: `width * height * 3` bytes of the spec's size. Errors say why, for a person. */
export async function decodeImage(
  spec: ImageSpec,
  bytes: Uint8Array,
): Promise<Result<Uint8Array, string>> {
  if (bytes.length === 0) return err('is empty');
  try {
    const image = sharp(bytes, {
      autoOrient: true,
      failOn: 'truncated',
      limitInputPixels: defaultLimits.imagePixelsMax,
    });
    // Before the resize, so that the colour of see-through pixels does not bleed into their neighbours.
    image.flatten({ background: '#000000' });
    await resize(image, spec, bytes);
    const { data, info } = await image
      .toColourspace('srgb')
      .raw({ depth: 'uchar' })
      .toBuffer({ resolveWithObject: true });
    if (info.width !== spec.width || info.height !== spec.height || info.channels !== channels) {
      return err(`decodes to ${info.width}x${info.height} with ${info.channels} channels`);
    }
    return ok(data);
  } catch (cause) {
    return err(reasonOf(cause));
  }
}

async function resize(image: Sharp, spec: ImageSpec, bytes: Uint8Array): Promise<void> {
  const kernel = spec.interpolation;
  if (spec.fit !== 'contain') {
    image.resize(spec.width, spec.height, { fit: spec.fit, kernel });
    return;
  }
  const { autoOrient } = await sharp(bytes, {
    limitInputPixels: defaultLimits.imagePixelsMax,
  }).metadata();
  const factor = Math.min(spec.width / autoOrient.width, spec.height / autoOrient.height);
  const width = Math.max(1, Math.round(autoOrient.width * factor));
  const height = Math.max(1, Math.round(autoOrient.height * factor));
  const left = Math.floor((spec.width - width) / 2);
  const top = Math.floor((spec.height - height) / 2);
  const grey = typeof spec.pad === 'number' ? spec.pad : 0;
  image.resize(width, height, { fit: 'fill', kernel }).extend({
    left,
    top,
    right: spec.width - width - left,
    bottom: spec.height - height - top,
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
