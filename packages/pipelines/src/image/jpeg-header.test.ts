/** The head of JPEG files. */
import fc from 'fast-check';
import sharp from 'sharp';
import { describe, expect, test } from 'vitest';
import { readJpegHeader } from './jpeg-header.ts';
import { manyScans, photo } from './made-images.fixture.ts';

const image = photo(61, 47, 5);

describe('readJpegHeader', () => {
  test('a photo in one scan', async () => {
    const header = readJpegHeader(await image.clone().jpeg().toBuffer());
    const value = { width: 61, height: 47, components: 3, scans: 1, orientation: 1 };
    expect(header).toEqual({ ok: true, value });
  });

  test('components and scans', async () => {
    const grey = await image.clone().toColourspace('b-w').jpeg({ progressive: true }).toBuffer();
    expect(readJpegHeader(grey)).toMatchObject({ value: { components: 1, scans: 6 } });
    const cmyk = await image.clone().toColourspace('cmyk').jpeg().toBuffer();
    expect(readJpegHeader(cmyk)).toMatchObject({ value: { components: 4, scans: 1 } });
    const colour = await image.clone().jpeg({ progressive: true }).toBuffer();
    expect(readJpegHeader(colour)).toMatchObject({ value: { components: 3, scans: 10 } });
    expect(readJpegHeader(manyScans(100, 100))).toMatchObject({ value: { scans: 883 } });
  });

  test.each([1, 2, 3, 4, 5, 6, 7, 8])('orientation %i, as sharp reads it', async (orientation) => {
    const file = await image.clone().withMetadata({ orientation }).jpeg().toBuffer();
    expect((await sharp(file).metadata()).orientation).toBe(orientation);
    expect(readJpegHeader(file)).toMatchObject({ value: { orientation } });
  });

  test('an orientation in big-endian order is read, one that is none is 1', async () => {
    const file = await image.clone().jpeg().toBuffer();
    const withTag = (value: number): Buffer => {
      const tiff = [0x4d, 0x4d, 0, 42, 0, 0, 0, 8, 0, 1, 1, 0x12, 0, 3, 0, 0, 0, 1, 0, value, 0, 0];
      const exif = [0x45, 0x78, 0x69, 0x66, 0, 0, ...tiff, 0, 0, 0, 0];
      const segment = Buffer.of(0xff, 0xe1, 0, exif.length + 2, ...exif);
      return Buffer.concat([file.subarray(0, 2), segment, file.subarray(2)]);
    };
    expect(readJpegHeader(withTag(6))).toMatchObject({ value: { orientation: 6 } });
    expect(readJpegHeader(withTag(9))).toMatchObject({ value: { orientation: 1 } });
  });

  test('any bytes are read or refused, and never break the reader', async () => {
    const file = await image
      .clone()
      .jpeg({ progressive: true })
      .withMetadata({ orientation: 3 })
      .toBuffer();
    const at = fc.nat({ max: file.length - 1 });
    const change = fc.tuple(at, fc.nat({ max: 255 }));
    fc.assert(
      fc.property(fc.array(change, { maxLength: 8 }), at, (changes, length) => {
        const damaged = Buffer.from(file.subarray(0, length));
        for (const [position, value] of changes) damaged[position % Math.max(1, length)] = value;
        const header = readJpegHeader(damaged);
        if (header.ok) expect(header.value.orientation).toBeGreaterThan(0);
        else expect(header.error).not.toBe('');
      }),
    );
  });
});
