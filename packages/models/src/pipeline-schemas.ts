/** The sections `preprocess` and `postprocess` of `model.yaml`: every key, its limits and its default. */
import { z } from 'zod';

const perChannel = z.array(z.number()).min(1).max(3);

const image = z.strictObject({
  input: z.string().min(1).max(128).default('image').describe("The pipeline's input field."),
  size: z
    .array(z.int().min(1).max(16_384))
    .length(2)
    .describe('[width, height] in pixels, after EXIF orientation.'),
  fit: z
    .enum(['contain', 'cover', 'fill'])
    .default('cover')
    .describe('contain: letterbox; cover: crop the middle; fill: stretch.'),
  pad: z
    .union([z.literal('edge'), z.number().min(0).max(255)], {
      error: 'must be "edge" or a number from 0 to 255',
    })
    .default(0)
    .describe('What fills the letterbox.'),
  color: z.enum(['rgb', 'bgr', 'gray']).default('rgb'),
  layout: z.enum(['nchw', 'nhwc']).default('nchw'),
  interpolation: z.enum(['nearest', 'linear', 'cubic', 'lanczos3']).default('linear'),
  scale: z
    .number()
    .default(1 / 255)
    .describe('value = (pixel * scale - mean) / std, pixel in 0..255.'),
  mean: perChannel.optional().describe('One a channel; default zeros.'),
  std: perChannel.optional().describe('One a channel, none of them 0; default ones.'),
});

const columnName = z.string().min(1).max(256);

const tabular = z.strictObject({
  columns: z
    .array(
      z.union([
        columnName,
        z.strictObject({
          name: columnName,
          min: z.number().optional(),
          max: z.number().optional(),
        }),
      ]),
    )
    .min(1)
    .max(10_000)
    .describe('Names in the order of the row; min and max are inclusive.'),
});

const label = z.string({ error: 'must be text (put it in quotes)' }).min(1).max(1024);

const classify = z.strictObject({
  output: z.string().min(1).optional().describe('Default: the only FP32 output of rank 2.'),
  labels: z
    .union([z.string().min(1), z.array(label).min(1).max(100_000)])
    .describe('A file beside model.yaml with one label a line, or the labels.'),
  top_k: z.int().min(1).max(1_000).default(5).describe('Capped at the number of labels.'),
  softmax: z.boolean().default(false).describe('True when the scores are logits.'),
});

/** Both keys at once is reported even when something else is wrong too. */
export const preprocess = z
  .strictObject({ image: image.optional(), tabular: tabular.optional() })
  .refine((value) => value.image === undefined || value.tabular === undefined, {
    error: 'has both image and tabular; a model takes one of them',
    when: ({ value }) => typeof value === 'object' && value !== null,
  });

export const postprocess = z.strictObject({ classify: classify.optional() });
