/** Images that are damaged, strange or made to harm: an answer or a clear refusal, with either decoder. */
import { defaultLimits, type ImageSpec } from '@inferry/contracts';
import sharp from 'sharp';
import { describe, expect, test } from 'vitest';
import { manyScans, photo, withJpegSize, withPngSize } from './made-images.fixture.ts';
import { imageModel, imagePreparer, valuesOf } from './prepare-image.fixture.ts';
import { decodeWithSharp } from './sharp-decoder.ts';

const { imagePixelsMax } = defaultLimits;
const jpeg = await photo(120, 80, 1).jpeg({ quality: 90 }).toBuffer();
const png = await photo(120, 80, 1).png().toBuffer();
const tooManyPixels = `"image" has more than ${imagePixelsMax} pixels`;

describe.each(['turbojpeg', 'sharp'] as const)('with %s for JPEG', async (decoder) => {
  const prepare = await imagePreparer(decoder);
  const values = (spec: Partial<ImageSpec>, image: Uint8Array) => valuesOf(prepare, spec, image);

  test.each<[string, Uint8Array, string]>([
    ['0 bytes', new Uint8Array(), '"image" is empty'],
    ['text', Buffer.from('hello, this is no image'), 'is not a JPEG, PNG, WebP, GIF, AVIF or TIFF'],
    ['a PNG of one line, 100000 pixels long', await longPng(), 'is 100000x1 pixels large; a side'],
    ['a PDF', Buffer.from('%PDF-1.7\n'), 'is not a JPEG, PNG'],
    ['a PNG of 60000x60000 by its header', withPngSize(png, 60_000, 60_000), tooManyPixels],
    ['a JPEG of 65000x65000 by its header', withJpegSize(jpeg, 65_000, 65_000), tooManyPixels],
    ['a JPEG without size', withJpegSize(jpeg, 0, 80), 'its header has no size'],
    ['half a JPEG', jpeg.subarray(0, jpeg.length / 2), '"image" cannot be decoded'],
    ['a JPEG without its last bytes', jpeg.subarray(0, jpeg.length - 40), 'cannot be decoded'],
    ['the header of a JPEG', jpeg.subarray(0, 100), 'cannot be decoded: its header is truncated'],
    [
      'the first bytes of a JPEG',
      jpeg.subarray(0, 3),
      'cannot be decoded: its header is truncated',
    ],
    ['half a PNG', png.subarray(0, png.length / 2), '"image" cannot be decoded'],
    [
      'a JPEG of zeros',
      Buffer.concat([jpeg.subarray(0, 2), Buffer.alloc(500)]),
      'header is truncated',
    ],
    [
      'an SVG that names a file and an address',
      Buffer.from(
        '<svg xmlns="http://www.w3.org/2000/svg" width="4" height="4">' +
          '<image href="file:///etc/passwd"/><image href="http://127.0.0.1:1/x.png"/></svg>',
      ),
      'is not a JPEG, PNG',
    ],
    [
      'a progressive JPEG of 7000x7000 in 883 scans',
      manyScans(7_000, 7_000),
      '"image" is coded in 883 scans; with 49000000 pixels it may have 12',
    ],
  ])('%s is rejected', async (_, image, reason) => {
    const prepared = await prepare(imageModel({}), image);
    expect(prepared).toMatchObject({ ok: false, error: { code: 'input_rejected' } });
    if (!prepared.ok) expect(prepared.error.detail).toContain(reason);
  });

  test('a PNG that is what a JPEG was said to be is decoded all the same', async () => {
    expect(await values({ width: 6, height: 4 }, png)).toHaveLength(72);
  });

  test.each([1, 3, 17])(
    'images one pixel wide or high, %i the other way, fill their tensor',
    async (length) => {
      const { data } = await photo(length, 1, length).raw().toBuffer({ resolveWithObject: true });
      for (const [width, height] of [
        [1, length],
        [length, 1],
      ] as const) {
        const image = sharp(data, { raw: { width, height, channels: 3 } });
        for (const format of ['png', 'jpeg'] as const) {
          const file = await image.toFormat(format, { quality: 100 }).toBuffer();
          for (const fit of ['fill', 'cover', 'contain'] as const) {
            const pixels = await values({ fit, width: 5, height: 5, pad: 'edge' }, file);
            expect(pixels).toHaveLength(75);
            expect(pixels.every((pixel) => pixel >= 0 && pixel <= 255)).toBe(true);
          }
        }
      }
    },
  );

  test('an image is made larger without a trace of its neighbours in memory', async () => {
    const white = await sharp({
      create: { width: 3, height: 2, channels: 3, background: '#ffffff' },
    })
      .jpeg({ quality: 100 })
      .toBuffer();
    await values({ width: 64, height: 64 }, jpeg);
    const pixels = await values({ width: 301, height: 97, interpolation: 'lanczos3' }, white);
    expect(pixels.every((pixel) => pixel > 254.99)).toBe(true);
  });

  test.each([1, 3] as const)('a JPEG of %i components, in one scan or ten', async (count) => {
    const space = count === 1 ? 'b-w' : 'srgb';
    const image = photo(90, 60, 3).toColourspace(space);
    const spec = { width: 9, height: 6, interpolation: 'nearest' } as const;
    const expected = await values(spec, await image.clone().png().toBuffer());
    for (const progressive of [false, true]) {
      const file = await image
        .clone()
        .jpeg({ quality: 100, progressive, chromaSubsampling: '4:4:4' })
        .toBuffer();
      const pixels = await values(spec, file);
      expect(largestDifference(pixels, expected)).toBeLessThan(5);
    }
  });

  test('a stray byte between the segments of a JPEG does no harm', async () => {
    const spec = { width: 9, height: 6, interpolation: 'nearest' } as const;
    const table = jpeg.indexOf(Buffer.of(0xff, 0xdb));
    const strayed = Buffer.concat([jpeg.subarray(0, table), Buffer.of(7), jpeg.subarray(table)]);
    const pixels = await values(spec, strayed);
    expect(largestDifference(pixels, await values(spec, jpeg))).toBeLessThan(2);
  });

  test('large images are made smaller before they are resized, and placed as they were sent', async () => {
    const create = { width: 4_000, height: 3_000, channels: 3, background: '#306090' } as const;
    const image = await sharp({ create }).png({ compressionLevel: 1 }).toBuffer();
    const prepared = await prepare(imageModel({ width: 8, height: 8, fit: 'contain' }), image);
    if (!prepared.ok) throw new Error(prepared.error.detail);
    const [placement] = prepared.value.placements;
    expect(placement).toMatchObject({ sourceWidth: 4_000, sourceHeight: 3_000, scaleX: 0.002 });
    const middle = new Float32Array(prepared.value.bytes.buffer).slice(36 * 3, 37 * 3);
    expect([...middle].map(Math.round)).toEqual([0x30, 0x60, 0x90]);
  });
});

test('what takes sharp longer than its time is refused', async () => {
  const [width, height] = [3_000, 3_000];
  const decoded = await decodeWithSharp(manyScans(width, height), {
    width,
    height,
    isReduced: false,
    isTurned: false,
    background: [0, 0, 0],
    interpolation: 'linear',
    msMax: 1_000,
  });
  expect(decoded).toEqual({ ok: false, error: 'takes too long to decode' });
});

describe('other formats', async () => {
  const prepare = await imagePreparer('auto');
  const values = (spec: Partial<ImageSpec>, image: Uint8Array) => valuesOf(prepare, spec, image);

  test('the first frame of an animation is taken', async () => {
    const frames = await Promise.all(
      ['#c00000', '#00c000'].map((background) =>
        sharp({ create: { width: 4, height: 4, channels: 3, background } })
          .png()
          .toBuffer(),
      ),
    );
    for (const format of ['gif', 'webp'] as const) {
      const options = { delay: [10, 10], ...(format === 'webp' ? { lossless: true } : {}) };
      const file = await sharp(frames, { join: { animated: true } })
        .toFormat(format, options)
        .toBuffer();
      const [red = 0, green = 255] = await values({}, file);
      expect(red).toBeGreaterThan(180);
      expect(green).toBeLessThan(10);
    }
  });

  test('a palette, and transparency over the background asked for', async () => {
    const pixels = Uint8Array.of(10, 20, 30, 255, 200, 100, 0, 0, 255, 255, 255, 128, 0, 0, 0, 255);
    const image = sharp(pixels, { raw: { width: 2, height: 2, channels: 4 } });
    const spec = { interpolation: 'nearest', background: [40, 80, 120] } as const;
    for (const palette of [false, true]) {
      const file = await image.clone().png({ palette }).toBuffer();
      const got = await values(spec, file);
      const expected = [10, 20, 30, 40, 80, 120, 148, 168, 188, 0, 0, 0];
      for (const [i, value] of expected.entries()) {
        expect(Math.abs((got[i] ?? 0) - value)).toBeLessThanOrEqual(2);
      }
    }
  });
});

function longPng(): Promise<Buffer> {
  const create = { width: 100_000, height: 1, channels: 3, background: '#ffffff' } as const;
  return sharp({ create }).png().toBuffer();
}

function largestDifference(one: Float32Array, other: Float32Array): number {
  expect(one.length).toBe(other.length);
  return one.reduce((most, value, i) => Math.max(most, Math.abs(value - (other[i] ?? 0))), 0);
}
