/** An input made up for a model, to warm its pipeline up and to learn what preparing costs. */
import type { JobInput, ModelManifest } from '@inferry/contracts';
import sharp from 'sharp';

const sampleWidth = 1_024;
const sampleHeight = 768;

/** One row like those that callers send: a photo of ordinary size, as JPEG. Null where preparing costs next to nothing. */
export async function sampleInput({ preprocess }: ModelManifest): Promise<JobInput | null> {
  if (preprocess.kind !== 'image') return null;
  const image = await sharp({
    create: {
      width: sampleWidth,
      height: sampleHeight,
      channels: 3,
      background: '#808080',
      // About as many bytes a pixel as a photo has.
      noise: { type: 'gaussian', mean: 128, sigma: 10 },
    },
  })
    .jpeg()
    .toBuffer();
  return { form: 'pipeline', rows: [{ [preprocess.input]: new Uint8Array(image) }] };
}
