/** One photograph as the body that each side takes, in files for the load generator: JSON around the same base64 text. */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { seededRandom } from '@inferry/runtime';
import sharp from 'sharp';

/** Files by the form of what they hold. */
export interface Payloads {
  readonly inferry: string;
  readonly published: string;
  readonly bentoml: string;
  readonly v2: string;
  readonly jpegBytes: number;
}

const width = 1200;
const height = 727;
/** Gives a file of about the size of the published payload's. */
const quality = 92;

/** Writes the bodies into a directory. `file` is `{"image": "<base64>"}` with a JPEG; without one a picture is made. */
export async function writePayloads(
  file: string | undefined,
  directory: string,
): Promise<Payloads> {
  const text = file === undefined ? (await madePhoto()).toString('base64') : await imageOf(file);
  const bodies = {
    inferry: { input: { image: { $b64: text } } },
    published: { image: text },
    bentoml: { images: [text] },
    v2: { inputs: [{ name: 'image', shape: [1, 1], datatype: 'BYTES', data: [text] }] },
  };
  const path = (form: string): string => join(directory, `${form}.json`);
  for (const [form, body] of Object.entries(bodies)) {
    await writeFile(path(form), JSON.stringify(body));
  }
  return {
    inferry: path('inferry'),
    published: path('published'),
    bentoml: path('bentoml'),
    v2: path('v2'),
    jpegBytes: Buffer.byteLength(text, 'base64'),
  };
}

async function imageOf(file: string): Promise<string> {
  const body = JSON.parse(await readFile(file, 'utf8')) as { readonly image?: unknown };
  if (typeof body.image !== 'string') throw new Error(`${file} has no "image" with base64 text`);
  const [first, second] = Buffer.from(body.image.slice(0, 4), 'base64');
  if (first !== 0xff || second !== 0xd8) throw new Error(`the "image" of ${file} is no JPEG`);
  return body.image;
}

/** A picture with detail at every size, as photographs have: noise of ever finer grain and ever less strength, seeded. */
async function madePhoto(): Promise<Buffer> {
  const random = seededRandom(2019);
  const grains = [4, 8, 16, 32, 64, 128, 256, 512, 1024];
  const sum = new Float32Array(width * height * 3);
  for (const grain of grains) {
    const cells = Buffer.alloc(grain * grain * 3);
    for (let i = 0; i < cells.length; i += 1) cells[i] = Math.floor(random.unit() * 256);
    const layer = await sharp(cells, { raw: { width: grain, height: grain, channels: 3 } })
      .resize(width, height, { fit: 'fill', kernel: 'cubic' })
      .raw()
      .toBuffer();
    const strength = grain ** -0.45;
    for (let i = 0; i < sum.length; i += 1)
      sum[i] = (sum[i] ?? 0) + ((layer[i] ?? 0) - 128) * strength;
  }
  const pixels = Buffer.from(Uint8ClampedArray.from(sum, (value) => 128 + value));
  return sharp(pixels, { raw: { width, height, channels: 3 } })
    .jpeg({ quality })
    .toBuffer();
}
