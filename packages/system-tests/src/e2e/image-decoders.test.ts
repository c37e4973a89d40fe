/**
 * Both JPEG decoders in whole servers: 360 held-out digits as photos of 200x200, quality 60, get the same
 * label whoever decodes them, and the right one as often as models/README.md says.
 */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { startProcess } from '@inferry/testkit';
import sharp from 'sharp';
import { expect, test } from 'vitest';
import { call, demoModels, inParallel, readiness } from '../system.ts';

interface HeldOut {
  /** PNG of 8x8 pixels, base64. */
  readonly images: readonly string[];
  readonly labels: readonly number[];
}

async function heldOut(): Promise<HeldOut> {
  const text = await readFile(join(demoModels, 'digits/heldout/heldout.json'), 'utf8');
  return JSON.parse(text) as HeldOut;
}

/** Labels in the order of the photos, by a server that decodes with `decoder`. */
async function labelsBy(decoder: string, photos: readonly Buffer[]): Promise<string[]> {
  const env = { PORT: '0', METRICS_PORT: '0', INFERRY_JPEG_DECODER: decoder };
  await using serve = startProcess(['serve', demoModels], { env });
  const { url } = await readiness(serve, 'serve');
  return await inParallel(photos, 16, async (photo) => {
    const answer = await call(`${url}/v1/models/digits/jobs`, {
      method: 'POST',
      headers: { 'content-type': 'image/jpeg', prefer: 'wait=30' },
      body: new Uint8Array(photo),
    });
    const output = answer.body['output'] as { readonly label: string } | undefined;
    if (output === undefined) throw new Error(JSON.stringify(answer.body));
    return output.label;
  });
}

test('a photo gets its label whoever decodes it', async () => {
  const { images, labels } = await heldOut();
  const photos = await Promise.all(
    images.map((image) =>
      sharp(Buffer.from(image, 'base64'))
        .resize(200, 200, { kernel: 'cubic' })
        .jpeg({ quality: 60 })
        .toBuffer(),
    ),
  );
  const byTurbo = await labelsBy('turbojpeg', photos);
  const bySharp = await labelsBy('sharp', photos);

  const share = (one: readonly string[], other: readonly string[]): number =>
    one.filter((label, i) => label === other[i]).length / one.length;
  expect(share(byTurbo, bySharp)).toBeGreaterThanOrEqual(0.99);
  expect(share(byTurbo, labels.map(String))).toBeGreaterThanOrEqual(0.985);
});
