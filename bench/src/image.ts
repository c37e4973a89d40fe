/**
 * What an image costs on its way into a tensor: CPU time of decoding and of resizing with normalising, by
 * decoder, and of the whole as workers do it. One thread, warm, the best of several rounds.
 *
 *     npm run bench:image -- [photo.jpg ...] [--size 224] [--crop-pct 1] [--images 50] [--rounds 7] [--json]
 *
 * Files are JPEG; without any the image is one like a photo, of 1200x727. The whole has what the stages leave
 * out: reading the header, choosing the scale, finding the plan.
 */
import { readFile } from 'node:fs/promises';
import { basename } from 'node:path';
import { parseArgs } from 'node:util';
import type { ImageSpec } from '@inferry/contracts';
import {
  decodedEighths,
  decodeWithSharp,
  fitImage,
  ImageFiller,
  LinearMemory,
  openTurboJpeg,
  Resizer,
  sharpSize,
  sourceBytes,
  upright,
} from '@inferry/pipelines/image-parts';
import sharp, { type Sharp } from 'sharp';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    size: { type: 'string', default: '224' },
    'crop-pct': { type: 'string', default: '1' },
    images: { type: 'string', default: '50' },
    rounds: { type: 'string', default: '7' },
    json: { type: 'boolean', default: false },
  },
});
const size = Number(values.size);
const spec: ImageSpec = {
  kind: 'image',
  input: 'image',
  width: size,
  height: size,
  orient: true,
  background: [0, 0, 0],
  fit: 'cover',
  cropPct: Number(values['crop-pct']),
  pad: 0,
  color: 'rgb',
  layout: 'nchw',
  interpolation: 'linear',
  scale: 1 / 255,
  mean: [0.485, 0.456, 0.406],
  std: [0.229, 0.224, 0.225],
};

const memory = new LinearMemory(2 ** 30);
const resizer = await Resizer.open(memory);
const turbo = await openTurboJpeg();
if (!turbo.ok) throw new Error(turbo.error);
const target = roomFor(size * size * 3 * Float32Array.BYTES_PER_ELEMENT);

const lines = [];
for (const { name, bytes } of await imagesToMeasure()) {
  for (const decoder of [turbo.value, null]) lines.push(await measure(name, bytes, decoder));
}
if (values.json) for (const line of lines) console.log(JSON.stringify(line));
else console.table(lines);

async function imagesToMeasure(): Promise<{ name: string; bytes: Buffer }[]> {
  if (positionals.length === 0) return [{ name: 'like a photo', bytes: await likePhoto() }];
  return Promise.all(
    positionals.map(async (path) => ({ name: basename(path), bytes: await readFile(path) })),
  );
}

/** Coarse noise made larger has slopes and soft edges; fine noise over it has the grain of a sensor. */
async function likePhoto(): Promise<Buffer> {
  const noise = (width: number, height: number, sigma: number): Sharp =>
    sharp({
      create: {
        width,
        height,
        channels: 3,
        background: '#808080',
        noise: { type: 'gaussian', mean: 128, sigma },
      },
    });
  const coarse = await noise(60, 36, 60).png().toBuffer();
  const grain = await noise(1_200, 727, 14).png().toBuffer();
  return sharp(coarse)
    .resize(1_200, 727, { fit: 'fill', kernel: 'cubic' })
    .composite([{ input: grain, blend: 'soft-light' }])
    .jpeg({ quality: 90 })
    .toBuffer();
}

type Turbo = Extract<typeof turbo, { ok: true }>['value'];

async function measure(name: string, bytes: Buffer, decoder: Turbo | null) {
  const { width, height } = await sharp(bytes).metadata();
  const fit = fitImage(spec, width, height);
  const scale = decodedEighths(spec, fit) / 8;
  const source =
    decoder === null
      ? sharpSize(spec, fit, width, height, true)
      : {
          width,
          height,
          decodedWidth: Math.ceil(width * scale),
          decodedHeight: Math.ceil(height * scale),
          scaleX: scale,
          scaleY: scale,
        };
  const { decodedWidth, decodedHeight } = source;
  const room = roomFor(sourceBytes(source));
  const pixels = memory.view(room, decodedWidth * decodedHeight * 3);
  const decoding = {
    ...spec,
    width: decodedWidth,
    height: decodedHeight,
    isReduced: decodedWidth < width,
    isTurned: false,
    msMax: 60_000,
  };
  const decode =
    decoder === null
      ? async () => {
          const decoded = await decodeWithSharp(bytes, decoding);
          if (!decoded.ok) throw new Error(`${name} ${decoded.error}`);
          pixels.set(decoded.value);
        }
      : () => {
          const outcome = decoder.decode(bytes, pixels, decodedWidth, decodedHeight);
          if (outcome.kind === 'failed') throw new Error(`${name} ${outcome.reason}`);
        };
  const decodeMs = await cpuMsOf(decode);
  const job = { spec, datatype: 'FP32', fit, size: source, orientation: upright } as const;
  const resizeMs = await cpuMsOf(() => {
    if (!resizer.resize(job, room, target)) throw new Error('there is no room for the plan');
  });
  const filler = new ImageFiller({ memory, resizer, turbo: decoder });
  const wholeMs = await cpuMsOf(async () => {
    const written = await filler.write({ spec, datatype: 'FP32', bytes, target });
    if (!written.ok) throw new Error(`${name} ${written.error}`);
  });
  memory.release(room);
  return {
    image: name,
    pixels: `${width}x${height}`,
    KB: Math.round(bytes.length / 1_000),
    decoder: decoder === null ? 'sharp' : 'turbojpeg',
    decoded: `${decodedWidth}x${decodedHeight}`,
    decode_ms: decodeMs,
    resize_ms: resizeMs,
    whole_ms: wholeMs,
  };
}

/** CPU time of this process for one call, in ms: the least of the rounds, as others only add to it. */
async function cpuMsOf(act: () => void | Promise<void>): Promise<number> {
  const images = Number(values.images);
  let least = Infinity;
  for (let round = 0; round < Number(values.rounds) + 1; round += 1) {
    const before = process.cpuUsage();
    for (let i = 0; i < images; i += 1) await act();
    const { user, system } = process.cpuUsage(before);
    // The first round warms up.
    if (round > 0) least = Math.min(least, (user + system) / 1_000 / images);
  }
  return Math.round(least * 100) / 100;
}

function roomFor(bytes: number): number {
  const address = memory.allocate(bytes);
  if (address === undefined) throw new Error(`there is no room for ${bytes} bytes`);
  return address;
}
