/** What the keys of an image pipeline mean, on images of a few pixels. */
import { halfToNumber, type ModelManifest } from '@inferry/contracts';
import sharp from 'sharp';
import { describe, expect, test } from 'vitest';
import { openPreparer } from '../preparer.ts';
import { imageModel } from './prepare-image.fixture.ts';

const preparer = await openPreparer({ jpegDecoder: 'auto' });
if (!preparer.ok) throw new Error(preparer.error);
const batch = preparer.value.openBatch();
const prepare = (...[manifest, input]: Parameters<typeof batch.prepare>) =>
  batch.prepare(manifest, input);

const quad = [255, 0, 0, 0, 255, 0, 0, 0, 255, 128, 128, 128];

function image(pixels: readonly number[], width: number, height: number, channels: 1 | 3 | 4 = 3) {
  return sharp(Uint8Array.from(pixels), { raw: { width, height, channels } });
}

async function floats(manifest: ModelManifest, ...images: Uint8Array[]): Promise<number[]> {
  const item = await prepare(manifest, {
    form: 'pipeline',
    rows: images.map((bytes) => ({ image: bytes })),
  });
  if (!item.ok) throw new Error(item.error.detail);
  const bytes = item.value.tensors[0]!.bytes;
  return [...new Float32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 4)];
}

async function rejection(manifest: ModelManifest, row: Record<string, never> | object) {
  const item = await prepare(manifest, { form: 'pipeline', rows: [row as Record<string, never>] });
  if (item.ok) throw new Error('was not rejected');
  expect(item.error.code).toBe('input_rejected');
  return item.error.detail;
}

describe('image pipeline', () => {
  test('an image of the model’s size arrives pixel by pixel', async () => {
    const png = await image(quad, 2, 2).png().toBuffer();
    expect(await floats(imageModel({}), png)).toEqual(quad);
  });

  test('nchw holds one plane a channel and bgr swaps the outer two', async () => {
    const png = await image(quad, 2, 2).png().toBuffer();
    expect(await floats(imageModel({ layout: 'nchw' }), png)).toEqual([
      255, 0, 0, 128, 0, 255, 0, 128, 0, 0, 255, 128,
    ]);
    expect((await floats(imageModel({ color: 'bgr' }), png)).slice(0, 6)).toEqual([
      0, 0, 255, 0, 255, 0,
    ]);
  });

  test('scale, mean and std apply in this order, to each channel its own', async () => {
    const png = await image([200, 100, 50, 0, 0, 0, 0, 0, 0, 0, 0, 0], 2, 2).png().toBuffer();
    const model = imageModel({ scale: 0.5, mean: [10, 20, 30], std: [2, 4, 5] });
    const [red, green, blue] = await floats(model, png);
    expect(red).toBeCloseTo(45, 5);
    expect(green).toBeCloseTo(7.5, 5);
    expect(blue).toBeCloseTo(-1, 5);
  });

  test('grey is the luma of BT.601, and leaves grey images as they are', async () => {
    const gray = imageModel({ color: 'gray', mean: [0], std: [1] });
    const color = await image(quad, 2, 2).png().toBuffer();
    const lumas = await floats(gray, color);
    for (const [i, luma] of [76.24, 149.69, 29.07, 128].entries()) {
      expect(lumas[i]).toBeCloseTo(luma, 2);
    }
    const plain = await image([0, 90, 200, 255], 2, 2, 1).png().toBuffer();
    expect(await floats(gray, plain)).toEqual([0, 90, 200, 255]);
  });

  test('contain repeats the edge pixels on both sides of a wide image', async () => {
    const png = await image([10, 20, 30, 40, 50, 60, 70, 80], 4, 2, 1).png().toBuffer();
    const model = imageModel({
      color: 'gray',
      mean: [0],
      std: [1],
      width: 4,
      height: 4,
      fit: 'contain',
      pad: 'edge',
    });
    expect(await floats(model, png)).toEqual([
      10, 20, 30, 40, 10, 20, 30, 40, 50, 60, 70, 80, 50, 60, 70, 80,
    ]);
  });

  test('contain fills a tall image’s sides with the grey level asked for', async () => {
    const png = await image([10, 20], 1, 2, 1).png().toBuffer();
    const model = imageModel({ color: 'gray', mean: [0], std: [1], fit: 'contain', pad: 77 });
    expect(await floats(model, png)).toEqual([10, 77, 20, 77]);
  });

  test('cover crops the middle', async () => {
    const png = await image([1, 2, 3, 4, 5, 6, 7, 8], 4, 2, 1).png().toBuffer();
    const model = imageModel({ color: 'gray', mean: [0], std: [1], fit: 'cover' });
    expect(await floats(model, png)).toEqual([2, 3, 6, 7]);
  });

  test('transparency is laid on black', async () => {
    const png = await image(
      [255, 255, 255, 0, 255, 255, 255, 255, 9, 9, 9, 255, 0, 0, 0, 0],
      2,
      2,
      4,
    )
      .png()
      .toBuffer();
    const model = imageModel({ color: 'gray', mean: [0], std: [1] });
    expect(await floats(model, png)).toEqual([0, 255, 9, 0]);
  });

  test('16-bit and CMYK images keep their brightness and hue', async () => {
    const raw = { width: 2, height: 2, channels: 1 } as const;
    const deep = await sharp(Uint16Array.from([0, 65_535, 32_896, 257]), { raw })
      .toColourspace('grey16')
      .png()
      .toBuffer();
    expect((await sharp(deep).metadata()).depth).toBe('ushort');
    const gray = imageModel({ color: 'gray', mean: [0], std: [1] });
    expect(await floats(gray, deep)).toEqual([0, 255, 128, 1]);

    const cmyk = await sharp({
      create: { width: 8, height: 8, channels: 3, background: '#ff0000' },
    })
      .toColourspace('cmyk')
      .jpeg({ quality: 100 })
      .toBuffer();
    expect((await sharp(cmyk).metadata()).space).toBe('cmyk');
    const [red = 0, green = 255, blue = 255] = await floats(imageModel({}), cmyk);
    expect(red).toBeGreaterThan(220);
    expect(Math.max(green, blue)).toBeLessThan(20);
  });

  test.each(['jpeg', 'png', 'webp', 'tiff'] as const)(
    'the EXIF orientation of %s is applied before the image is resized, unless it is not wanted',
    async (format) => {
      const file = await image([0, 255], 2, 1, 1)
        .resize(64, 32, { fit: 'fill', kernel: 'nearest' })
        .toFormat(format, { quality: 100 })
        .withMetadata({ orientation: 6 })
        .toBuffer();
      const spec = { color: 'gray', mean: [0], std: [1], interpolation: 'nearest' } as const;
      for (const fit of ['fill', 'contain'] as const) {
        const turned = imageModel({ ...spec, fit, width: 1, height: 2 });
        const [top = 255, bottom = 0] = await floats(turned, file);
        expect(top).toBeLessThan(10);
        expect(bottom).toBeGreaterThan(245);
        const asStored = imageModel({ ...spec, fit, width: 2, height: 1, orient: false });
        const [left = 255, right = 0] = await floats(asStored, file);
        expect(left).toBeLessThan(10);
        expect(right).toBeGreaterThan(245);
      }
    },
  );

  test.each(['jpeg', 'png', 'webp', 'gif', 'avif', 'tiff'] as const)(
    '%s is decoded',
    async (format) => {
      const bytes = await sharp({
        create: { width: 16, height: 16, channels: 3, background: '#c0c0c0' },
      })
        .toFormat(format)
        .toBuffer();
      const values = await floats(imageModel({}), bytes);
      expect(values.every((value) => Math.abs(value - 192) < 6)).toBe(true);
    },
  );

  test('FP16 and UINT8 models get their own datatype', async () => {
    const png = await image(quad, 2, 2).png().toBuffer();
    const rows = [{ image: new Uint8Array(png) }];
    const input = { form: 'pipeline', rows } as const;
    const half = await prepare(imageModel({}, 'FP16'), input);
    if (!half.ok) throw new Error(half.error.detail);
    const bits = half.value.tensors[0]!.bytes;
    expect([...new Uint16Array(new Uint8Array(bits).buffer)].map(halfToNumber)).toEqual(quad);
    const bytes = await prepare(imageModel({}, 'UINT8'), input);
    if (!bytes.ok) throw new Error(bytes.error.detail);
    expect([...bytes.value.tensors[0]!.bytes]).toEqual(quad);
    expect(bytes.value.tensors[0]!.shape).toEqual([1, 2, 2, 3]);
  });

  test('rows of one job are stacked in order and equal the same rows sent alone', async () => {
    const spec = { width: 5, height: 4, fit: 'contain', interpolation: 'cubic' } as const;
    const images = await Promise.all(
      [1, 2, 3].map((seed) =>
        image(
          Array.from({ length: 7 * 9 * 3 }, (_, i) => (i * seed * 37) % 256),
          7,
          9,
        )
          .png()
          .toBuffer(),
      ),
    );
    const together = await floats(imageModel(spec), ...images);
    const alone = await Promise.all(images.map((bytes) => floats(imageModel(spec), bytes)));
    expect(together).toEqual(alone.flat());
  });

  test('what cannot be decoded is rejected with the field and the reason', async () => {
    const model = imageModel({});
    const jpeg = await sharp({
      create: { width: 64, height: 64, channels: 3, background: '#123456' },
    })
      .jpeg()
      .toBuffer();
    expect(await rejection(model, { image: new Uint8Array() })).toBe('"image" is empty');
    expect(await rejection(model, {})).toBe('"image" is missing');
    expect(await rejection(model, { image: 'text' })).toContain('must be the bytes of an image');
    expect(await rejection(model, { image: jpeg, extra: 1 })).toContain('"extra" is not an input');
    expect(await rejection(model, { image: Buffer.from('hello, this is no image') })).toContain(
      'is not a JPEG, PNG',
    );
    const half = jpeg.subarray(0, jpeg.length - 40);
    expect(await rejection(model, { image: half })).toContain('"image" cannot be decoded');
  });

  test('one bad row of several is named', async () => {
    const png = await image(quad, 2, 2).png().toBuffer();
    const item = await prepare(imageModel({}), {
      form: 'pipeline',
      rows: [{ image: png }, { image: new Uint8Array() }],
    });
    expect(item).toMatchObject({ ok: false, error: { detail: 'row 1: "image" is empty' } });
  });
});
