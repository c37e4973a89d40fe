/** An input made up for a model, to warm its pipeline up and to learn what preparing costs. */
import { exampleRow, type JobInput, type ModelManifest } from '@inferry/contracts';
import sharp from 'sharp';

const sampleWidth = 1_024;
const sampleHeight = 768;

/**
 * One row like those that callers send; of images, a photo of ordinary size as JPEG. Null for models without
 * a pipeline, and where no row can be made up.
 */
export async function sampleInput(manifest: ModelManifest): Promise<JobInput | null> {
  const { preprocess } = manifest;
  if (preprocess.kind !== 'image') {
    const row = exampleRow(manifest);
    return row === undefined ? null : { form: 'pipeline', rows: [row] };
  }
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
