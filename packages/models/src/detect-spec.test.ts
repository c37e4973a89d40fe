/** postprocess.detect: what each family takes by default, and how it is refused where it does not fit the model. */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { PostprocessSpec } from '@inferry/contracts';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { problemText } from './file-problem.ts';
import { loadRepository } from './load-repository.ts';
import { writeOnnx, type WrittenTensor } from './onnx-writer.test.ts';

let folder = '';
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'inferry-detect-'));
});
afterEach(() => rm(folder, { recursive: true }));

const image = 'preprocess: {image: {size: [64, 32]}}\n';

function fp32(name: string, ...shape: (number | null)[]): WrittenTensor {
  return { name, type: 1, shape };
}

interface Found {
  readonly spec: PostprocessSpec | undefined;
  readonly problems: readonly string[];
}

async function load(
  outputs: readonly WrittenTensor[],
  detect: string,
  before = image,
): Promise<Found> {
  await mkdir(join(folder, 'm/1'), { recursive: true });
  const inputs = [fp32('pixels', null, 3, 32, 64)];
  await writeFile(join(folder, 'm/1/model.onnx'), writeOnnx({ inputs, outputs: [...outputs] }));
  await writeFile(join(folder, 'm/model.yaml'), `${before}postprocess: {detect: {${detect}}}`);
  const { models, problems } = await loadRepository(folder);
  return {
    spec: models[0]?.postprocess,
    problems: problems.map((problem) =>
      problemText(problem).replace(`${folder}/m/model.yaml:2: postprocess.detect`, ''),
    ),
  };
}

const heads = [
  fp32('large', null, 24, 4, 8),
  fp32('medium', null, 24, 2, 4),
  fp32('small', null, 24, 1, 2),
];
const labels = 'labels: [cat, dog, owl]';

describe('a family', () => {
  test('boxes: separate outputs, as large as each other', async () => {
    const outputs = [fp32('s', 1, 442, 4), fp32('b', 1, 442, 4)];
    const detect = `family: boxes, scores: s, boxes: b, background: 0, ${labels}`;
    const { spec, problems } = await load(outputs, detect);
    expect(problems).toEqual([]);
    expect(spec).toEqual({
      kind: 'detect',
      head: {
        family: 'boxes',
        scores: { output: 's', activation: 'none', background: 0 },
        boxes: 'b',
        format: 'xyxy',
        units: 'relative',
      },
      inputWidth: 64,
      inputHeight: 32,
      labels: ['cat', 'dog', 'owl'],
      scoreThreshold: 0.5,
      iouThreshold: 0.45,
      isClassAgnostic: false,
      isMultiLabel: true,
      candidatesMax: 1000,
      detectionsMax: 100,
    });
    const torch = [fp32('s', null, 442, 3), fp32('b', null, 442, 1, 4)];
    const plain = await load(torch, `family: boxes, scores: s, boxes: b, ${labels}`);
    expect(plain.problems).toEqual([]);
  });

  test('ssd: as many boxes as priors', async () => {
    const detect = `family: ssd, scores: s, boxes: b, ${labels}, priors: [{stride: 16, sizes: [[9, 9], [5, 7]]}, {stride: 24, sizes: [[30, 30]]}]`;
    // 4 x 2 cells of two priors, and 3 x 2 of one.
    const fitting = await load([fp32('s', null, 22, 4), fp32('b', null, 22, 4)], detect);
    expect(fitting.problems).toEqual([]);
    expect(fitting.spec).toMatchObject({
      head: { variances: [0.1, 0.2], scores: { activation: 'softmax', background: 0 } },
      isMultiLabel: true,
    });
    const other = await load([fp32('s', null, 21, 4), fp32('b', null, 21, 4)], detect);
    expect(other.problems).toEqual([
      '.scores: needs [-1, 22, 4] for 3 labels; output "s" is [-1, 21, 4]',
      '.boxes: needs [-1, 22, 4] or [-1, 22, 1, 4] for 3 labels; output "b" is [-1, 21, 4]',
    ]);
  });

  test('yolov4: published anchors and scales, the layout from the rank', async () => {
    const detect = `family: yolov4, outputs: [large, medium, small], ${labels}`;
    const { spec, problems } = await load(heads, detect);
    expect(problems).toEqual([]);
    expect(spec).toMatchObject({
      head: {
        family: 'yolov4',
        activated: 'none',
        outputs: [
          { output: 'large', stride: 8, scaleXY: 1.2, layout: 'nchw' },
          {
            stride: 16,
            scaleXY: 1.1,
            anchors: [
              [36, 75],
              [76, 55],
              [72, 146],
            ],
          },
          { stride: 32, scaleXY: 1.05 },
        ],
      },
      isMultiLabel: false,
    });
    const last = [
      fp32('large', null, 4, 8, 3, 8),
      fp32('medium', null, 2, 4, 3, 8),
      fp32('small', null, 1, 2, 3, 8),
    ];
    const third = await load(last, detect.replace('yolov4', 'yolov3'));
    expect(third.problems).toEqual([]);
    expect(third.spec).toMatchObject({
      head: {
        outputs: [
          {
            layout: 'nhwc',
            scaleXY: 1,
            anchors: [
              [10, 13],
              [16, 30],
              [33, 23],
            ],
          },
          {},
          {},
        ],
      },
    });
    const joined = [
      fp32('large', null, 4, 8, 24),
      fp32('medium', null, null, null, 24),
      fp32('small', null, 1, 2, 24),
    ];
    expect((await load(joined, `${detect}, layout: nhwc`)).problems).toEqual([]);
  });

  test('with one output takes the only one there is', async () => {
    const families: [string, WrittenTensor][] = [
      ['yolov5', fp32('out', null, 25_200, 8)],
      ['yolov8', fp32('out', null, 7, 8_400)],
      ['yolox', fp32('out', null, 42, 8)],
      ['end_to_end', fp32('out', null, 300, 6)],
    ];
    for (const [family, output] of families) {
      const { spec, problems } = await load([output], `family: ${family}, ${labels}`);
      expect(problems, family).toEqual([]);
      expect(spec, family).toMatchObject({ kind: 'detect', head: { family, output: 'out' } });
    }
  });

  test('may have outputs whose sizes the file leaves open', async () => {
    const open = [fp32('out', null, null, null)];
    expect((await load(open, `family: yolov5, ${labels}`)).problems).toEqual([]);
  });
});

describe('a detector is refused', () => {
  const out = [fp32('out', null, 7, 8_400)];

  test.each<[string, readonly WrittenTensor[], string, readonly string[]]>([
    [
      'an unknown family',
      out,
      `family: yolov2, ${labels}`,
      ['.family: must be one of: boxes, ssd, yolov3, yolov4, yolov5, yolov8, yolox, end_to_end'],
    ],
    [
      'a key of another family',
      out,
      `family: yolov8, anchors: [[[1, 2]]], max_detection: 3, ${labels}`,
      [
        '.anchors: is not known; known here: family, output, units, labels, score_threshold, iou_threshold, class_agnostic, multi_label, max_candidates, max_detections',
        '.max_detection: is not known; did you mean "max_detections"?',
      ],
    ],
    [
      'values out of range',
      out,
      `family: yolov8, score_threshold: 1, iou_threshold: 2, max_candidates: 0, ${labels}`,
      [
        '.score_threshold: expected number to be <1',
        '.iou_threshold: expected number to be <=1',
        '.max_candidates: expected number to be >=1',
      ],
    ],
    [
      'an output that is not there',
      out,
      `family: yolov8, output: boxes, ${labels}`,
      ['.output: the model has no output "boxes"; it has: out'],
    ],
    [
      'no output where there are several',
      heads,
      `family: yolov5, ${labels}`,
      ['.output: must be given: the model has 3 outputs: large, medium, small'],
    ],
    [
      'another number of labels',
      out,
      'family: yolov8, labels: [cat, dog]',
      ['.output: needs [-1, 6, -1] for 2 labels; output "out" is [-1, 7, 8400]'],
    ],
    [
      'an output of integers',
      [{ name: 'out', type: 7, shape: [null, 300, 6] }],
      `family: end_to_end, ${labels}`,
      ['.output: must be FP32, FP64 or FP16; output "out" is INT64'],
    ],
    [
      'lists of different lengths',
      heads,
      `family: yolov4, outputs: [large, medium, small], strides: [8, 16], scale_x_y: [1], ${labels}`,
      expect.arrayContaining([
        '.strides: has 2 entries; there are 3 outputs',
        '.scale_x_y: has 1 entries; there are 3 outputs',
      ]) as readonly string[],
    ],
    [
      'heads in another order',
      heads,
      `family: yolov4, outputs: [medium, large, small], ${labels}`,
      [
        '.outputs.0: needs [-1, 24, 4, 8] for 3 labels; output "medium" is [-1, 24, 2, 4]',
        '.outputs.1: needs [-1, 24, 2, 4] for 3 labels; output "large" is [-1, 24, 4, 8]',
      ],
    ],
    [
      'strides that do not divide the input',
      [fp32('out', null, null, 8)],
      `family: yolox, strides: [24], ${labels}`,
      ['.strides.0: preprocess.image.size [64, 32] must be a multiple of 24'],
    ],
    [
      'a background that is no class',
      [fp32('s', null, 9, 4), fp32('b', null, 8, 4)],
      `family: boxes, scores: s, boxes: b, background: 4, ${labels}`,
      [
        '.background: there are 4 classes with the background, the last is 3',
        '.boxes: needs [-1, 9, 4] or [-1, 9, 1, 4] for 3 labels; output "b" is [-1, 8, 4]',
      ],
    ],
  ])('for %s', async (_, outputs, detect, problems) => {
    expect((await load(outputs, detect)).problems).toEqual(problems);
  });

  test('without an image, and beside a classifier', async () => {
    const without = await load(out, `family: yolov8, ${labels}`, '\n');
    expect(without.problems).toEqual([
      ': needs preprocess.image: boxes are given in pixels of the image that was sent',
    ]);
    await writeFile(
      join(folder, 'm/model.yaml'),
      `${image}postprocess: {classify: {labels: [a]}, detect: {family: yolov8, ${labels}}}`,
    );
    const { problems } = await loadRepository(folder);
    expect(problems.map(({ message }) => message)).toEqual([
      'postprocess: has classify and detect; a model gives one of them',
    ]);
  });

  test('for labels that cannot be read, under its own key', async () => {
    const { problems } = await load(out, 'family: yolov8, labels: coco.txt');
    expect(problems).toEqual([`.labels: ${folder}/m/coco.txt does not exist`]);
  });
});
