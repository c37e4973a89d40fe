/** The kernel against plain loops, for every fit, orientation, layout and order, and any sizes. */
import type { ImageSpec } from '@inferry/contracts';
import { seededRandom } from '@inferry/runtime';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { fitImage, type ImageFit } from './fit.ts';
import { LinearMemory } from './linear-memory.ts';
import { type Orientation, orientationOf, upright } from './orientation.ts';
import { sourceBytes } from './resize-plan.ts';
import { Resizer } from './resizer.ts';
import { axisWeights } from './resize-weights.ts';

const memory = new LinearMemory(64 * 1024 * 1024);
const resizer = await Resizer.open(memory);
/** Bytes around the tensor that must stay as they are. */
const guardBytes = 256;
const guard = 0xa5;

interface Pixels {
  readonly width: number;
  readonly height: number;
  readonly data: Uint8Array;
}

function randomPixels(width: number, height: number, seed: number): Pixels {
  const data = seededRandom(seed).bytes(width * height * 3);
  return { width, height, data };
}

/** The image that is meant, from the pixels that are stored. */
function turned({ width, height, data }: Pixels, orientation: Orientation): Pixels {
  const { isSwapped, isXFlipped, isYFlipped } = orientation;
  const [newWidth, newHeight] = isSwapped ? [height, width] : [width, height];
  const moved = new Uint8Array(data.length);
  for (let y = 0; y < newHeight; y += 1) {
    for (let x = 0; x < newWidth; x += 1) {
      const [alongX, alongY] = isSwapped ? [y, x] : [x, y];
      const fromX = isXFlipped ? width - 1 - alongX : alongX;
      const fromY = isYFlipped ? height - 1 - alongY : alongY;
      const from = (fromY * width + fromX) * 3;
      moved.set(data.subarray(from, from + 3), (y * newWidth + x) * 3);
    }
  }
  return { width: newWidth, height: newHeight, data: moved };
}

/** What the tensor should hold, one value after the other, in double precision. */
function plainly(spec: ImageSpec, image: Pixels, fit: ImageFit): number[] {
  const isEdge = spec.pad === 'edge';
  const columns = axisWeights(spec.interpolation, fit.x, image.width, spec.width, isEdge);
  const rows = axisWeights(spec.interpolation, fit.y, image.height, spec.height, isEdge);
  const pad = typeof spec.pad === 'number' ? spec.pad : 0;
  const channels = spec.color === 'gray' ? 1 : 3;
  const tensor: number[] = [];
  for (let y = 0; y < spec.height; y += 1) {
    for (let x = 0; x < spec.width; x += 1) {
      const isImage = (rows.counts[y] ?? 0) > 0 && (columns.counts[x] ?? 0) > 0;
      const rgb = [0, 1, 2].map((channel) => {
        if (!isImage) return pad;
        let sum = 0;
        for (let i = 0; i < rows.counts[y]!; i += 1) {
          for (let j = 0; j < columns.counts[x]!; j += 1) {
            const at = ((rows.starts[y]! + i) * image.width + columns.starts[x]! + j) * 3 + channel;
            const weight =
              rows.values[y * rows.tapsMax + i]! * columns.values[x * columns.tapsMax + j]!;
            sum += image.data[at]! * weight;
          }
        }
        return Math.min(255, Math.max(0, sum));
      });
      const [red = 0, green = 0, blue = 0] = rgb;
      const gray = (red * 19_595 + green * 38_470 + blue * 7_471) / 65_536;
      const inOrder = { rgb, bgr: [blue, green, red], gray: [gray] }[spec.color];
      for (const [c, level] of inOrder.entries()) {
        const pixel = y * spec.width + x;
        const at =
          spec.layout === 'nchw' ? c * spec.width * spec.height + pixel : pixel * channels + c;
        tensor[at] = (level * spec.scale - spec.mean[c]!) / spec.std[c]!;
      }
    }
  }
  return tensor;
}

const side = fc.integer({ min: 1, max: 70 });
const target = fc.integer({ min: 1, max: 40 });
const specs: fc.Arbitrary<ImageSpec> = fc.record({
  kind: fc.constant('image' as const),
  input: fc.constant('image'),
  width: target,
  height: target,
  orient: fc.constant(true),
  background: fc.constant([0, 0, 0] as const),
  fit: fc.constantFrom('contain', 'cover', 'fill'),
  cropPct: fc.constantFrom(1, 0.875, 0.6),
  pad: fc.constantFrom<'edge' | number>('edge', 0, 114, 33.5, 255),
  color: fc.constantFrom('rgb', 'bgr', 'gray'),
  layout: fc.constantFrom('nchw', 'nhwc'),
  interpolation: fc.constantFrom('linear', 'cubic', 'lanczos3'),
  scale: fc.constantFrom(1, 1 / 255),
  mean: fc.constant([0.5, 0.25, -1]),
  std: fc.constant([1, 2, 0.5]),
});

test('the kernel writes what plain loops compute, and nothing beside it', () => {
  fc.assert(
    fc.property(
      specs,
      side,
      side,
      fc.integer({ min: 1, max: 8 }),
      fc.nat(),
      (spec, w, h, tag, seed) => {
        const stored = randomPixels(w, h, seed);
        const orientation = orientationOf(tag);
        const image = turned(stored, orientation);
        const fit = fitImage(spec, image.width, image.height);
        const size = {
          width: w,
          height: h,
          decodedWidth: w,
          decodedHeight: h,
          scaleX: 1,
          scaleY: 1,
        };
        const bytes = spec.width * spec.height * (spec.color === 'gray' ? 1 : 3) * 4;
        const source = memory.allocate(sourceBytes(size))!;
        const room = memory.allocate(bytes + 2 * guardBytes)!;
        memory.view(source, stored.data.length).set(stored.data);
        memory.view(room, bytes + 2 * guardBytes).fill(guard);
        const job = { spec, datatype: 'FP32', fit, size, orientation } as const;
        expect(resizer.resize(job, source, room + guardBytes)).toBe(true);

        const written = new Float32Array(memory.view(room + guardBytes, bytes).slice().buffer);
        const unit = spec.scale / 0.5;
        for (const [i, expected] of plainly(spec, image, fit).entries()) {
          expect(Math.abs((written[i] ?? Number.NaN) - expected) / unit).toBeLessThan(0.03);
        }
        const around = [
          memory.view(room, guardBytes),
          memory.view(room + guardBytes + bytes, guardBytes),
        ];
        expect(around.every((bytesAround) => bytesAround.every((byte) => byte === guard))).toBe(
          true,
        );
        memory.release(source);
        memory.release(room);
      },
    ),
    { numRuns: 150 },
  );
});

test('plans are kept for sizes that come again, and a bounded number of them', async () => {
  const own = new LinearMemory(64 * 1024 * 1024);
  const fresh = await Resizer.open(own);
  const spec = { ...fc.sample(specs, { numRuns: 1, seed: 1 })[0]!, fit: 'fill' as const };
  const source = own.allocate(sourceBytes(sizeOf(1_000)))!;
  const room = own.allocate(1024 * 1024)!;
  const resize = (width: number) => {
    const size = sizeOf(width);
    const fit = fitImage(spec, width, 9);
    expect(
      fresh.resize({ spec, datatype: 'FP32', fit, size, orientation: upright }, source, room),
    ).toBe(true);
    return own.memory.buffer.byteLength;
  };
  const afterOne = resize(10);
  for (let i = 0; i < 1_000; i += 1) expect(resize(10)).toBe(afterOne);
  // Thousands of sizes, of which a few hundred plans are kept.
  for (let width = 1; width < 1_000; width += 1) resize(width);
  const full = resize(500);
  for (let width = 1; width < 1_000; width += 1) expect(resize(width)).toBe(full);
});

function sizeOf(width: number) {
  return { width, height: 9, decodedWidth: width, decodedHeight: 9, scaleX: 1, scaleY: 1 };
}
