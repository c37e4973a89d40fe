/** Images through the pipeline, for tests: a model that takes them, and what comes of one. */
import type { Datatype, Failure, ImageSpec, ModelManifest } from '@inferry/contracts';
import { ok, type Result } from '@inferry/runtime';
import { testManifest } from '@inferry/testkit';
import { type JpegDecoderChoice, openPreparer } from '../preparer.ts';
import type { ImagePlacement } from './fit.ts';

const usual: ImageSpec = {
  kind: 'image',
  input: 'image',
  width: 2,
  height: 2,
  orient: true,
  background: [0, 0, 0],
  fit: 'fill',
  cropPct: 1,
  pad: 0,
  color: 'rgb',
  layout: 'nhwc',
  interpolation: 'linear',
  scale: 1,
  mean: [0, 0, 0],
  std: [1, 1, 1],
};

/** A model of 2x2 pixels in the order of the image, but for what is given. */
export function imageModel(
  spec: Partial<ImageSpec>,
  datatype: Datatype = 'FP32',
  maxBatchSize = 8,
): ModelManifest {
  const preprocess = { ...usual, ...spec };
  return testManifest({
    maxBatchSize,
    inputs: [{ name: 'x', datatype, shape: [-1, -1, -1, -1] }],
    outputs: [{ name: 'y', datatype: 'FP32', shape: [-1, 3] }],
    preprocess,
  });
}

interface Prepared {
  /** A copy of the tensor's bytes. */
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly shape: readonly number[];
  readonly placements: readonly ImagePlacement[];
}

export type PrepareImages = (
  model: ModelManifest,
  ...images: readonly Uint8Array[]
) => Promise<Result<Prepared, Failure>>;

/** Prepares jobs of images, each in a batch of its own, with the decoder asked for. */
export async function imagePreparer(jpegDecoder: JpegDecoderChoice): Promise<PrepareImages> {
  const preparer = await openPreparer({ jpegDecoder });
  if (!preparer.ok) throw new Error(preparer.error);
  return async (model, ...images) => {
    const batch = preparer.value.openBatch();
    try {
      const rows = images.map((image) => ({ image }));
      const item = await batch.prepare(model, { form: 'pipeline', rows });
      if (!item.ok) return item;
      const { tensors, placements } = item.value;
      const [tensor] = tensors;
      if (tensor === undefined) throw new Error('no tensor');
      return ok({ bytes: new Uint8Array(tensor.bytes), shape: tensor.shape, placements });
    } finally {
      batch.close();
    }
  };
}

/** The values of one image in FP32; throws with the reason where it is refused. */
export async function valuesOf(
  prepare: PrepareImages,
  spec: Partial<ImageSpec>,
  image: Uint8Array,
): Promise<Float32Array> {
  const prepared = await prepare(imageModel(spec), image);
  if (!prepared.ok) throw new Error(prepared.error.detail);
  return new Float32Array(prepared.value.bytes.buffer);
}
