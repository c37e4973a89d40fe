/**
 * The detector that `model.yaml` asks for, checked against the outputs of the model and completed with
 * what its family has by default.
 */
import type {
  BoxFormat,
  BoxUnits,
  ClassScores,
  DetectHead,
  PostprocessSpec,
  TensorSpec,
  YoloAnchorOutput,
} from '@inferry/contracts';
import type { Detect } from './detect-schema.ts';
import type { FileProblem } from './file-problem.ts';
import type { ParsedModelYaml } from './model-yaml.ts';
import { shapeText } from './signature-agreement.ts';

type Of<Family extends Detect['family']> = Extract<Detect, { readonly family: Family }>;
type Size = readonly [number, number];

const floats: ReadonlySet<string> = new Set(['FP32', 'FP64', 'FP16']);
const at = ['postprocess', 'detect'];
/** A dimension that may be anything. */
const any = -1;

/** The anchors of the published models, trained on COCO: Redmon and Farhadi 2018, Bochkovskiy et al. 2020. */
const publishedAnchors: Readonly<Record<'yolov3' | 'yolov4', readonly (readonly Size[])[]>> = {
  yolov3: [
    [
      [10, 13],
      [16, 30],
      [33, 23],
    ],
    [
      [30, 61],
      [62, 45],
      [59, 119],
    ],
    [
      [116, 90],
      [156, 198],
      [373, 326],
    ],
  ],
  yolov4: [
    [
      [12, 16],
      [19, 36],
      [40, 28],
    ],
    [
      [36, 75],
      [76, 55],
      [72, 146],
    ],
    [
      [142, 110],
      [192, 243],
      [459, 401],
    ],
  ],
};
const publishedScaleXY = { yolov3: [1, 1, 1], yolov4: [1.2, 1.1, 1.05] } as const;

/** What a detector is bound to. */
interface Binding {
  readonly yaml: ParsedModelYaml;
  readonly outputs: readonly TensorSpec[];
  readonly labels: number;
  readonly width: number;
  readonly height: number;
  readonly problems: FileProblem[];
}

/** What does not fit is added to `problems`. */
export function detectSpec(
  detect: Detect,
  yaml: ParsedModelYaml,
  outputs: readonly TensorSpec[],
  labels: readonly string[],
  problems: FileProblem[],
): PostprocessSpec {
  const [width, height] = yaml.config.preprocess?.image?.size ?? [];
  if (width === undefined || height === undefined) {
    const message = 'needs preprocess.image: boxes are given in pixels of the image that was sent';
    problems.push(yaml.problemAt(at, message));
    return { kind: 'none' };
  }
  const binding = { yaml, outputs, labels: labels.length, width, height, problems };
  return {
    kind: 'detect',
    head: headOf(detect, binding),
    inputWidth: width,
    inputHeight: height,
    labels,
    scoreThreshold: detect.score_threshold,
    detectionsMax: detect.max_detections,
    ...suppression(detect),
  };
}

/** The graph of an end-to-end model has suppressed already: nothing suppresses anything here. */
function suppression(detect: Detect) {
  if (detect.family === 'end_to_end') {
    return {
      iouThreshold: 1,
      isClassAgnostic: false,
      isMultiLabel: false,
      candidatesMax: detect.max_detections,
    };
  }
  return {
    iouThreshold: detect.iou_threshold,
    isClassAgnostic: detect.class_agnostic,
    isMultiLabel: detect.multi_label ?? (detect.family === 'boxes' || detect.family === 'ssd'),
    candidatesMax: detect.max_candidates,
  };
}

function headOf(detect: Detect, binding: Binding): DetectHead {
  switch (detect.family) {
    case 'boxes':
    case 'ssd':
      return scoresAndBoxes(detect, binding);
    case 'yolov3':
    case 'yolov4':
      return yoloAnchors(detect, binding);
    case 'yolov5': {
      const output = singleOutput(detect, [any, any, 5 + binding.labels], binding);
      return { family: detect.family, output, units: detect.units };
    }
    case 'yolov8': {
      const output = singleOutput(detect, [any, 4 + binding.labels, any], binding);
      return { family: detect.family, output, units: detect.units };
    }
    case 'yolox': {
      checkStrides(detect.strides, binding);
      const cells = detect.strides.reduce((sum, stride) => sum + cellCount(stride, binding), 0);
      const output = singleOutput(detect, [any, cells, 5 + binding.labels], binding);
      return { family: detect.family, output, strides: detect.strides };
    }
    case 'end_to_end': {
      const output = singleOutput(detect, [any, any, 6], binding);
      return { family: detect.family, output, ...formatAndUnits(detect) };
    }
  }
}

function formatAndUnits(detect: Of<'boxes' | 'end_to_end'>): {
  readonly format: BoxFormat;
  readonly units: BoxUnits;
} {
  return { format: detect.box_format, units: detect.units };
}

function scoresAndBoxes(detect: Of<'boxes' | 'ssd'>, binding: Binding): DetectHead {
  const { yaml, labels, problems } = binding;
  const background = detect.background === 'none' ? null : detect.background;
  const scores: ClassScores = {
    output: detect.scores,
    activation: detect.score_activation,
    background,
  };
  const classes = labels + (background === null ? 0 : 1);
  if (background !== null && background >= classes) {
    const message = `there are ${classes} classes with the background, the last is ${classes - 1}`;
    problems.push(yaml.problemAt([...at, 'background'], message));
  }
  const count = detect.family === 'ssd' ? priorCount(detect, binding) : any;
  const given = checkOutput('scores', detect.scores, [[any, count, classes]], binding);
  const boxes = detect.boxes;
  // As many as there are scores, where the file says how many.
  const wanted = count === any ? (given?.shape[1] ?? any) : count;
  const shapes = [
    [any, wanted, 4],
    [any, wanted, 1, 4],
  ];
  checkOutput('boxes', boxes, shapes, binding);
  if (detect.family === 'boxes') {
    return { family: detect.family, scores, boxes, ...formatAndUnits(detect) };
  }
  const { family, priors, variances } = detect;
  return { family, scores, boxes, priors, variances };
}

function priorCount({ priors }: Of<'ssd'>, binding: Binding): number {
  return priors.reduce(
    (sum, { stride, sizes }) => sum + cellCount(stride, binding) * sizes.length,
    0,
  );
}

function cellCount(stride: number, { width, height }: Binding): number {
  return Math.ceil(width / stride) * Math.ceil(height / stride);
}

function checkStrides(
  strides: readonly number[],
  { yaml, width, height, problems }: Binding,
): void {
  for (const [i, stride] of strides.entries()) {
    if (width % stride === 0 && height % stride === 0) continue;
    const message = `preprocess.image.size [${width}, ${height}] must be a multiple of ${stride}`;
    problems.push(yaml.problemAt([...at, 'strides', i], message));
  }
}

function yoloAnchors(detect: Of<'yolov3' | 'yolov4'>, binding: Binding): DetectHead {
  const { family, activated, strides } = detect;
  const anchors = detect.anchors ?? publishedAnchors[family];
  const scales = detect.scale_x_y ?? publishedScaleXY[family];
  const heads = detect.outputs.length;
  for (const [key, { length }] of Object.entries({ strides, anchors, scale_x_y: scales })) {
    if (length === heads) continue;
    const message = `has ${length} entries; there are ${heads} outputs`;
    binding.problems.push(binding.yaml.problemAt([...at, key], message));
  }
  checkStrides(strides, binding);
  const outputs = detect.outputs.map((output, index): YoloAnchorOutput => {
    const stride = strides[index] ?? 1;
    const own = anchors[index] ?? [];
    const layout = yoloLayout(detect, index, own.length, stride, binding);
    return { output, stride, anchors: own, scaleXY: scales[index] ?? 1, layout };
  });
  return { family, outputs, activated };
}

function yoloLayout(
  detect: Of<'yolov3' | 'yolov4'>,
  index: number,
  anchors: number,
  stride: number,
  binding: Binding,
): 'nchw' | 'nhwc' {
  const name = detect.outputs[index] ?? '';
  const found = binding.outputs.find((output) => output.name === name);
  const layout = detect.layout ?? (found?.shape.length === 5 ? 'nhwc' : 'nchw');
  const each = 5 + binding.labels;
  const height = Math.ceil(binding.height / stride);
  const width = Math.ceil(binding.width / stride);
  const shapes =
    layout === 'nchw'
      ? [[any, anchors * each, height, width]]
      : [
          [any, height, width, anchors, each],
          [any, height, width, anchors * each],
        ];
  checkOutput(['outputs', index], name, shapes, binding);
  return layout;
}

/** The output that is named, or the only one there is. */
function singleOutput(
  detect: Of<'yolov5' | 'yolov8' | 'yolox' | 'end_to_end'>,
  wanted: readonly number[],
  binding: Binding,
): string {
  const { outputs, yaml, problems } = binding;
  const name = detect.output ?? (outputs.length === 1 ? outputs[0]?.name : undefined);
  if (name === undefined) {
    const message = `must be given: the model has ${outputs.length} outputs: ${namesOf(outputs)}`;
    problems.push(yaml.problemAt([...at, 'output'], message));
    return '';
  }
  checkOutput('output', name, [wanted], binding);
  return name;
}

/** The output, if there is one of that name; what does not fit the first shape or another is a problem. */
function checkOutput(
  key: string | readonly PropertyKey[],
  name: string,
  wanted: readonly (readonly number[])[],
  { yaml, outputs, labels, problems }: Binding,
): TensorSpec | undefined {
  const path = [...at, ...(typeof key === 'string' ? [key] : key)];
  const output = outputs.find((candidate) => candidate.name === name);
  if (output === undefined) {
    const message = `the model has no output "${name}"; it has: ${namesOf(outputs)}`;
    problems.push(yaml.problemAt(path, message));
    return undefined;
  }
  if (!floats.has(output.datatype)) {
    const message = `must be FP32, FP64 or FP16; output "${name}" is ${output.datatype}`;
    problems.push(yaml.problemAt(path, message));
  }
  if (wanted.some((shape) => fits(output.shape, shape))) return output;
  const shapes = wanted.map(shapeText).join(' or ');
  const message = `needs ${shapes} for ${labels} labels; output "${name}" is ${shapeText(output.shape)}`;
  problems.push(yaml.problemAt(path, message));
  return output;
}

function fits(shape: readonly number[], wanted: readonly number[]): boolean {
  const [rows] = shape;
  return (
    shape.length === wanted.length &&
    (rows === -1 || rows === 1) &&
    shape.every((size, i) => size === -1 || wanted[i] === any || size === wanted[i])
  );
}

function namesOf(outputs: readonly TensorSpec[]): string {
  return outputs
    .slice(0, 10)
    .map(({ name }) => name)
    .join(', ');
}
