/** The section `postprocess.detect` of `model.yaml`: one form for each family of detectors. */
import { z } from 'zod';
import { labels } from './labels-schema.ts';

const output = z.string().min(1).max(1_024);
const onlyOutput = output.optional().describe('Default: the only output of the model.');
const stride = z.int().min(1).max(1_024);
const strides = z.array(stride).min(1).max(16);
/** [width, height] in pixels of the input. */
const size = z.tuple([z.number().positive().max(16_384), z.number().positive().max(16_384)]);

const ofEveryFamily = {
  labels,
  score_threshold: z.number().min(0).lt(1).default(0.5).describe('A lower score is no detection.'),
  iou_threshold: z
    .number()
    .min(0)
    .max(1)
    .default(0.45)
    .describe('Of two boxes whose intersection over union is larger, the better one stays.'),
  class_agnostic: z
    .boolean()
    .default(false)
    .describe('true: boxes of different classes suppress each other too.'),
  multi_label: z
    .boolean()
    .optional()
    .describe(
      'true: a box counts for every class above the threshold; false: for its best. Default: true for boxes and ssd.',
    ),
  max_candidates: z
    .int()
    .min(1)
    .max(5_000)
    .default(1_000)
    .describe('The best so many boxes enter non-maximum suppression.'),
  max_detections: z.int().min(1).max(1_000).default(100).describe('The best so many are answered.'),
};

const units = (otherwise: 'relative' | 'pixels') =>
  z
    .enum(['relative', 'pixels'])
    .default(otherwise)
    .describe("relative: 0..1 of the input's sides; pixels: pixels of the model's input.");

const boxFormat = z
  .enum(['xyxy', 'cxcywh', 'xywh'])
  .default('xyxy')
  .describe('Corners; centre and size; left-top corner and size.');

/** `background` is the number of the class that has no label. */
const classScores = (activation: 'none' | 'softmax', background: number | 'none') => ({
  scores: output.describe('The output [rows, n, classes].'),
  score_activation: z
    .enum(['none', 'sigmoid', 'softmax'])
    .default(activation)
    .describe('What makes the scores probabilities.'),
  background: z
    .union([z.int().min(0).max(100_000), z.literal('none')], {
      error: 'must be the number of a class, or "none"',
    })
    .default(background)
    .describe('The class that means "nothing here" and has no label.'),
});

const boxes = z.strictObject({
  family: z.literal('boxes'),
  ...classScores('none', 'none'),
  boxes: output.describe('The output [rows, n, 4] or [rows, n, 1, 4].'),
  box_format: boxFormat,
  units: units('relative'),
  ...ofEveryFamily,
});

const ssd = z.strictObject({
  family: z.literal('ssd'),
  ...classScores('softmax', 0),
  boxes: output.describe('The output of offsets from the priors, [rows, n, 4].'),
  priors: z
    .array(z.strictObject({ stride, sizes: z.array(size).min(1).max(64) }))
    .min(1)
    .max(16)
    .describe(
      'The feature maps in the order of the boxes. Each has a prior of each size, [width, height] in pixels of the input, in the middle of each cell of stride pixels, row by row.',
    ),
  variances: z
    .tuple([z.number().positive(), z.number().positive()])
    .default([0.1, 0.2])
    .describe('What offsets of centres and of sizes are multiplied by.'),
  ...ofEveryFamily,
});

const yoloAnchors = z.strictObject({
  family: z.enum(['yolov3', 'yolov4']),
  outputs: z.array(output).min(1).max(16).describe('The raw heads, in the order of the strides.'),
  strides: strides.default([8, 16, 32]),
  anchors: z
    .array(z.array(size).min(1).max(64))
    .min(1)
    .max(16)
    .optional()
    .describe(
      'For each head, [width, height] in pixels of the input. Default: those of the published model.',
    ),
  scale_x_y: z
    .array(z.number().min(1).max(4))
    .min(1)
    .max(16)
    .optional()
    .describe('One a head. Default: 1.2, 1.1, 1.05 for yolov4, 1 for yolov3.'),
  layout: z
    .enum(['nchw', 'nhwc'])
    .optional()
    .describe(
      'nchw: [rows, anchors * (5 + classes), h, w]; nhwc: [rows, h, w, anchors, 5 + classes], the last two perhaps as one. Default: nhwc for outputs of rank 5, else nchw.',
    ),
  activated: z
    .enum(['none', 'scores', 'all'])
    .default('none')
    .describe(
      'What the graph has passed through a sigmoid: scores: objectness and classes; all: the centres too.',
    ),
  ...ofEveryFamily,
});

const yolov5 = z.strictObject({
  family: z.literal('yolov5'),
  output: onlyOutput,
  units: units('pixels'),
  ...ofEveryFamily,
});

const yolov8 = z.strictObject({
  family: z.literal('yolov8'),
  output: onlyOutput,
  units: units('pixels'),
  ...ofEveryFamily,
});

const yolox = z.strictObject({
  family: z.literal('yolox'),
  output: onlyOutput,
  strides: strides.default([8, 16, 32]),
  ...ofEveryFamily,
});

const endToEnd = z.strictObject({
  family: z.literal('end_to_end'),
  output: onlyOutput,
  box_format: boxFormat,
  units: units('pixels'),
  labels,
  score_threshold: ofEveryFamily.score_threshold,
  max_detections: ofEveryFamily.max_detections,
});

export const detect = z.discriminatedUnion(
  'family',
  [boxes, ssd, yoloAnchors, yolov5, yolov8, yolox, endToEnd],
  {
    error: (issue) =>
      issue.code === 'invalid_union'
        ? 'must be one of: boxes, ssd, yolov3, yolov4, yolov5, yolov8, yolox, end_to_end'
        : undefined,
  },
);

export type Detect = z.output<typeof detect>;
