/** The sections `preprocess` and `postprocess` of `model.yaml`: every key, its limits and its default. */
import { z } from 'zod';
import { detect } from './detect-schema.ts';
import { labels } from './labels-schema.ts';
import { tabular } from './tabular-schema.ts';
import { tensorAnswer, tensorFields } from './tensor-schema.ts';
import { text } from './text-schema.ts';

const perChannel = z.array(z.number()).min(1).max(3);

const image = z.strictObject({
  input: z.string().min(1).max(128).default('image').describe("The pipeline's input field."),
  size: z
    .array(z.int().min(1).max(16_384))
    .length(2)
    .describe('[width, height] in pixels, after orientation.'),
  fit: z
    .enum(['contain', 'cover', 'fill'])
    .default('cover')
    .describe('contain: letterbox; cover: crop the middle; fill: stretch.'),
  crop_pct: z
    .number()
    .positive()
    .max(1)
    .optional()
    .describe(
      'With fit cover: the share of each side that is kept; default 1. 0.875 of 224 is cut out of 256.',
    ),
  orient: z.boolean().default(true).describe('Turn the image as its EXIF orientation says.'),
  background: z
    .array(z.int().min(0).max(255))
    .length(3)
    .default([0, 0, 0])
    .describe('[red, green, blue], 0..255, under transparent pixels.'),
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
    .optional()
    .describe(
      'value = (pixel * scale - mean) / std, pixel in 0..255. Default: 1/255; 1 for a UINT8 input.',
    ),
  mean: perChannel.optional().describe('One a channel; default zeros.'),
  std: perChannel.optional().describe('One a channel, none of them 0; default ones.'),
});

const classify = z.strictObject({
  output: z.string().min(1).optional().describe('Default: the only FP32 output of rank 2.'),
  labels,
  top_k: z.int().min(1).max(1_000).default(5).describe('Capped at the number of labels.'),
  softmax: z.boolean().default(false).describe('True when the scores are logits of one label.'),
  sigmoid: z
    .boolean()
    .default(false)
    .describe('True when they are logits and several labels may hold at once.'),
  threshold: z
    .number()
    .optional()
    .describe('top_k holds only what reaches it; by default all of the best.'),
});

/** Several keys at once are reported even when something else is wrong too. */
function atMostOneKey(verb: 'takes' | 'gives') {
  return {
    error: ({ input }: { readonly input?: unknown }) =>
      `has ${Object.keys(Object(input)).join(' and ')}; a model ${verb} one of them`,
    when: ({ value }: { readonly value: unknown }) => typeof value === 'object' && value !== null,
  };
}

export const preprocess = z
  .strictObject({
    image: image.optional(),
    text: text.optional(),
    tabular: tabular.optional(),
    tensor: tensorFields.optional(),
  })
  .refine((value) => Object.keys(value).length <= 1, atMostOneKey('takes'));

export const postprocess = z
  .strictObject({
    classify: classify.optional(),
    detect: detect.optional(),
    tensor: tensorAnswer.optional(),
  })
  .refine((value) => Object.keys(value).length <= 1, atMostOneKey('gives'));
