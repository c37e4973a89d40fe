/** libjpeg-turbo against sharp, and decoding at a scale against decoding in full. */
import sharp from 'sharp';
import { describe, expect, test } from 'vitest';
import type { PreparedItem } from '../prepare.ts';
import { openPreparer } from '../preparer.ts';
import { photo } from './made-images.fixture.ts';
import { imageModel, imagePreparer, valuesOf } from './prepare-image.fixture.ts';
import { openTurboJpeg } from './turbojpeg.ts';

const turbo = await imagePreparer('turbojpeg');
const bySharp = await imagePreparer('sharp');

/** Mean and largest difference, and the share of values that differ by more than 8 of 255 levels. */
function difference(one: Float32Array, other: Float32Array) {
  expect(one.length).toBe(other.length);
  const all = one.map((value, i) => Math.abs(value - (other[i] ?? Number.NaN)));
  const mean = all.reduce((sum, value) => sum + value, 0) / all.length;
  return {
    mean,
    largest: all.reduce((a, b) => Math.max(a, b), 0),
    visible: all.filter((v) => v > 8).length / all.length,
  };
}

describe('the same pixels within a tolerance', () => {
  test.each([
    [1_200, 727, 224, 224],
    [640, 480, 224, 224],
    [1_024, 559, 320, 240],
    [301, 1_003, 96, 96],
    [200, 200, 224, 224],
  ])('%ix%i in %ix%i', async (width, height, targetWidth, targetHeight) => {
    const image = photo(width, height, width);
    const file = await image.clone().jpeg({ quality: 90 }).toBuffer();
    const pixels = await sharp(file).raw().toBuffer();
    const full = await sharp(pixels, { raw: { width, height, channels: 3 } })
      .png()
      .toBuffer();
    for (const fit of ['cover', 'contain'] as const) {
      const spec = { fit, width: targetWidth, height: targetHeight };
      const fast = await valuesOf(turbo, spec, file);
      for (const other of [
        await valuesOf(bySharp, spec, file),
        await valuesOf(turbo, spec, full),
      ]) {
        const { mean, largest, visible } = difference(fast, other);
        expect(mean).toBeLessThan(1.5);
        expect(visible).toBeLessThan(0.02);
        expect(largest).toBeLessThan(80);
      }
    }
  });

  test('in full size both decoders agree to a level', async () => {
    for (const chromaSubsampling of ['4:4:4', '4:2:0']) {
      const file = await photo(160, 120, 2).jpeg({ quality: 92, chromaSubsampling }).toBuffer();
      const spec = { width: 160, height: 120 };
      const { largest } = difference(
        await valuesOf(turbo, spec, file),
        await valuesOf(bySharp, spec, file),
      );
      expect(largest).toBeLessThanOrEqual(1);
    }
  });
});

describe('who decodes JPEG', () => {
  test('libjpeg-turbo where it is, unless sharp is asked for', async () => {
    const described = async (jpegDecoder: 'auto' | 'turbojpeg' | 'sharp') => {
      const preparer = await openPreparer({ jpegDecoder });
      if (!preparer.ok) throw new Error(preparer.error);
      preparer.value.close();
      return preparer.value.jpegDecoder;
    };
    expect(await described('auto')).toMatch(/^libjpeg-turbo [23](?:\.\d+\.\d+)?$/u);
    expect(await described('turbojpeg')).toBe(await described('auto'));
    expect(await described('sharp')).toMatch(/^sharp \d.* \(libvips \d/u);
  });

  test('a library that is missing is an error that says how to get it', async () => {
    const missing = await openTurboJpeg(['libturbojpeg-that-is-missing.so.0']);
    if (missing.ok) throw new Error('was loaded');
    expect(missing.error).toContain('libjpeg-turbo cannot be loaded');
    expect(missing.error).toContain('apt-get install libturbojpeg0');
  });
});

describe('a batch', () => {
  const model = imageModel({ width: 8, height: 8 });

  test('holds its tensors back to back, in order, and a refused one leaves no gap', async () => {
    const preparer = await openPreparer({ jpegDecoder: 'auto' });
    if (!preparer.ok) throw new Error(preparer.error);
    const batch = preparer.value.openBatch();
    const other = preparer.value.openBatch();
    const files = await Promise.all([1, 2, 3].map((seed) => photo(30, 20, seed).jpeg().toBuffer()));
    const tensors: PreparedItem[] = [];
    for (const image of [files[0]!, Buffer.from('no image'), files[1]!, files[2]!]) {
      await other.prepare(model, { form: 'pipeline', rows: [{ image }] });
      const item = await batch.prepare(model, { form: 'pipeline', rows: [{ image }] });
      if (item.ok) tensors.push(item.value);
    }
    const parts = tensors.map((item) => item.tensors[0]!.bytes);
    const bytes = 8 * 8 * 3 * 4;
    expect(parts.map((part) => part.byteOffset - parts[0]!.byteOffset)).toEqual([
      0,
      bytes,
      2 * bytes,
    ]);
    const copies = parts.map((part) => new Uint8Array(part));

    // A large image makes the memory grow; tensors stay what they are.
    const large = await photo(1_900, 1_800, 1).jpeg().toBuffer();
    const whole = imageModel({ width: 1_900, height: 1_800 }, 'UINT8', 4);
    expect((await other.prepare(whole, { form: 'pipeline', rows: [{ image: large }] })).ok).toBe(
      true,
    );
    expect(parts[0]!.byteLength).toBe(0);
    expect(tensors.map((item) => new Uint8Array(item.tensors[0]!.bytes))).toEqual(copies);
    batch.close();
    other.close();
    expect(() => tensors[0]!.tensors).toThrow('before their batch is closed');
    preparer.value.close();
  });

  test('takes the memory that an earlier batch gave back', async () => {
    const preparer = await openPreparer({ jpegDecoder: 'auto' });
    if (!preparer.ok) throw new Error(preparer.error);
    const image = await photo(30, 20, 1).jpeg().toBuffer();
    const places: number[] = [];
    for (let i = 0; i < 3; i += 1) {
      const batch = preparer.value.openBatch();
      const item = await batch.prepare(model, { form: 'pipeline', rows: [{ image }] });
      if (!item.ok) throw new Error(item.error.detail);
      places.push(item.value.tensors[0]!.bytes.byteOffset);
      batch.close();
    }
    expect(new Set(places).size).toBe(1);
    preparer.value.close();
  });

  test('that needs more memory than there is is refused, not begun', async () => {
    const image = await photo(30, 20, 1).jpeg().toBuffer();
    const huge = imageModel({ width: 16_384, height: 16_384 }, 'FP32', 1);
    const refused = await turbo(huge, image);
    expect(refused).toMatchObject({
      ok: false,
      error: {
        code: 'input_rejected',
        detail: expect.stringContaining('more memory than there is'),
      },
    });
  });
});
