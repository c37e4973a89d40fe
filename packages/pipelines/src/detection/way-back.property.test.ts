/**
 * There and back: a square in a picture goes through the real preparation, is found in the tensor, and
 * the box around it there becomes the square in the picture again. For every fit, turned pictures too.
 */
import type { ImageSpec, ModelManifest } from '@inferry/contracts';
import fc from 'fast-check';
import sharp from 'sharp';
import { expect, test } from 'vitest';
import { postprocess } from '../postprocess.ts';
import { openPreparer } from '../preparer.ts';

const side = 64;

function detector(fit: ImageSpec['fit'], cropPct: number): ModelManifest {
  return {
    maxBatchSize: 8,
    inputs: [{ name: 'x', datatype: 'FP32', shape: [-1, 1, side, side] }],
    outputs: [{ name: 'out', datatype: 'FP32', shape: [-1, -1, 6] }],
    preprocess: {
      kind: 'image',
      input: 'image',
      width: side,
      height: side,
      orient: true,
      background: [0, 0, 0],
      fit,
      cropPct,
      pad: 0,
      color: 'gray',
      layout: 'nchw',
      interpolation: 'linear',
      scale: 1 / 255,
      mean: [0],
      std: [1],
    },
    postprocess: {
      kind: 'detect',
      head: { family: 'end_to_end', output: 'out', format: 'xyxy', units: 'pixels' },
      inputWidth: side,
      inputHeight: side,
      labels: ['square'],
      scoreThreshold: 0.5,
      iouThreshold: 1,
      isClassAgnostic: false,
      isMultiLabel: false,
      candidatesMax: 10,
      detectionsMax: 10,
    },
  } as unknown as ModelManifest;
}

interface Square {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

/** A black picture with a white square; turned on disk by its EXIF orientation, upright for who looks. */
async function picture(width: number, height: number, square: Square, turned: boolean) {
  const white = await sharp({
    create: { width: square.width, height: square.height, channels: 3, background: '#fff' },
  })
    .png()
    .toBuffer();
  const upright = await sharp({ create: { width, height, channels: 3, background: '#000' } })
    .composite([{ input: white, left: square.x, top: square.y }])
    .png()
    .toBuffer();
  // Orientation 6 says: turn by 90 degrees clockwise.
  return turned
    ? sharp(upright).rotate(270).withMetadata({ orientation: 6 }).png().toBuffer()
    : upright;
}

/** Left, top, right and bottom of what is bright, halfway through a pixel where it is half as bright. */
function brightBox(values: Float32Array): readonly [number, number, number, number] {
  const columns = new Float64Array(side);
  const rows = new Float64Array(side);
  for (let y = 0; y < side; y += 1) {
    for (let x = 0; x < side; x += 1) {
      const value = values[y * side + x] ?? 0;
      columns[x] = Math.max(columns[x] ?? 0, value);
      rows[y] = Math.max(rows[y] ?? 0, value);
    }
  }
  const span = (levels: Float64Array): readonly [number, number] => {
    const first = levels.findIndex((level) => level > 0.02);
    const last = levels.findLastIndex((level) => level > 0.02);
    return [first + 1 - (levels[first] ?? 0), last + (levels[last] ?? 0)];
  };
  const [left, right] = span(columns);
  const [top, bottom] = span(rows);
  return [left, top, right, bottom];
}

const preparer = await openPreparer({ jpegDecoder: 'auto' });
if (!preparer.ok) throw new Error(preparer.error);
const { value } = preparer;

const size = fc.integer({ min: 90, max: 400 });
const share = fc.double({ min: 0.3, max: 0.45, noNaN: true });

test('a box comes back to where it was in the picture', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom<ImageSpec['fit']>('contain', 'cover', 'fill'),
      fc.constantFrom(1, 0.875),
      size,
      size,
      share,
      share,
      fc.boolean(),
      async (fit, cropPct, width, height, left, top, turned) => {
        fc.pre(fit === 'cover' || cropPct === 1);
        // In the middle of the shorter side's square, where a crop leaves it whole.
        const reach = Math.min(width, height);
        const square: Square = {
          x: Math.round(width / 2 - reach / 2 + left * reach),
          y: Math.round(height / 2 - reach / 2 + top * reach),
          width: Math.round(reach * 0.25),
          height: Math.round(reach * 0.3),
        };
        const manifest = detector(fit, cropPct);
        const image = await picture(width, height, square, turned);
        const batch = value.openBatch();
        const rows = [{ image }];
        const item = await batch.prepare(manifest, { form: 'pipeline', rows });
        if (!item.ok) throw new Error(item.error.detail);
        const [tensor] = item.value.tensors;
        const bytes = Uint8Array.from(tensor!.bytes);
        const found = Float32Array.from([...brightBox(new Float32Array(bytes.buffer)), 1, 0]);
        const out = {
          name: 'out',
          datatype: 'FP32',
          shape: [1, 1, 6],
          bytes: bytesOf(found),
        } as const;
        const answer = postprocess(
          manifest,
          { form: 'pipeline', rows },
          [out],
          1,
          item.value.placements,
        );
        batch.close();
        if (!answer.ok || answer.value.form !== 'rows') throw new Error('no rows');
        const [row] = answer.value.rows as unknown as { detections: { box: Square }[] }[];
        const box = row!.detections[0]!.box;
        // A tensor pixel and a little: the filter of the resize spreads an edge over one on each side.
        const tolerance = (1.25 * Math.max(width, height)) / side;
        expect(Math.abs(box.x - square.x)).toBeLessThan(tolerance);
        expect(Math.abs(box.y - square.y)).toBeLessThan(tolerance);
        expect(Math.abs(box.x + box.width - square.x - square.width)).toBeLessThan(tolerance);
        expect(Math.abs(box.y + box.height - square.y - square.height)).toBeLessThan(tolerance);
      },
    ),
    { numRuns: 60 },
  );
});

function bytesOf(values: Float32Array): Uint8Array {
  return new Uint8Array(values.buffer);
}
