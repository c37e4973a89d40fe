/** Where images lie in their tensors. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { fitImage, paddedPixels, placementOf } from './fit.ts';

const square = { width: 224, height: 224, cropPct: 1 };

describe('fitImage', () => {
  test('contain rounds the sides to whole pixels and centres them', () => {
    expect(fitImage({ ...square, fit: 'contain' }, 640, 427)).toEqual({
      x: { from: 0, to: 640, start: 0, count: 224 },
      y: { from: 0, to: 427, start: 37, count: 149 },
    });
  });

  test('cover is Resize of the shorter side and CenterCrop, with their rounding', () => {
    // Resize(256) of 640x427 gives 383x256; CenterCrop(224) begins at round(79.5) = 80 and 16.
    const { x, y } = fitImage({ ...square, fit: 'cover', cropPct: 0.875 }, 640, 427);
    expect(x.from).toBeCloseTo((80 * 640) / 383, 9);
    expect(x.to).toBeCloseTo((304 * 640) / 383, 9);
    expect(y.from).toBeCloseTo((16 * 427) / 256, 9);
    expect(y.to).toBeCloseTo((240 * 427) / 256, 9);
  });

  test('an image of the shape of the tensor is used whole', () => {
    for (const fit of ['contain', 'cover', 'fill'] as const) {
      const { x, y } = fitImage({ ...square, fit }, 500, 500);
      expect([x.from, x.to, x.start, x.count]).toEqual([0, 500, 0, 224]);
      expect(y).toEqual(x);
    }
  });
});

test('a placement takes the corners of what is shown to the corners of where it is shown', () => {
  const size = fc.integer({ min: 1, max: 5_000 });
  const target = fc.integer({ min: 1, max: 800 });
  const fit = fc.constantFrom('contain', 'cover', 'fill');
  const cropPct = fc.double({ min: 0.5, max: 1, noNaN: true });
  fc.assert(
    fc.property(size, size, target, target, fit, cropPct, (w, h, width, height, how, crop) => {
      const placed = fitImage({ fit: how, width, height, cropPct: crop }, w, h);
      const placement = placementOf(placed, w, h);
      const { scaleX, scaleY, offsetX, offsetY } = placement;
      const { x, y } = placed;
      const empty = width * height - x.count * y.count;
      expect(paddedPixels({ width, height }, [placement, placement])).toBe(2 * empty);
      expect(x.from * scaleX + offsetX).toBeCloseTo(x.start, 6);
      expect(x.to * scaleX + offsetX).toBeCloseTo(x.start + x.count, 6);
      expect(y.from * scaleY + offsetY).toBeCloseTo(y.start, 6);
      expect(y.to * scaleY + offsetY).toBeCloseTo(y.start + y.count, 6);
      expect(x.start >= 0 && x.count >= 1 && x.start + x.count <= width).toBe(true);
      expect(y.start >= 0 && y.count >= 1 && y.start + y.count <= height).toBe(true);
      expect(x.from >= -1e-6 && x.to <= w + 1e-6 && y.from >= -1e-6 && y.to <= h + 1e-6).toBe(true);
    }),
  );
});
