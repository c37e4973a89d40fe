/**
 * The pre- and postprocessing that `model.yaml` asks for, checked against the model's signature and
 * completed with the defaults that depend on it.
 */
import {
  columnWidth,
  type Datatype,
  type PostprocessSpec,
  type PreprocessSpec,
  type TensorSpec,
} from '@inferry/contracts';
import { detectSpec } from './detect-spec.ts';
import type { FileProblem } from './file-problem.ts';
import type { ParsedModelYaml } from './model-yaml.ts';
import { shapeText } from './signature-agreement.ts';
import { tabularColumns } from './tabular-columns.ts';
import { tensorAnswerSpec, tensorFieldsSpec } from './tensor-pipeline.ts';
import { textSpec } from './text-spec.ts';
import type { TokenizerFile } from './tokenizer-file.ts';

const scoreDatatypes: ReadonlySet<Datatype> = new Set<Datatype>(['FP32', 'FP64', 'FP16']);
const none = { kind: 'none' } as const;

/** The preprocessor; what does not fit the model's inputs is added to `problems`. */
export function preprocessSpec(
  yaml: ParsedModelYaml,
  inputs: readonly TensorSpec[],
  context: { readonly maxBatchSize: number; readonly tokenizer: TokenizerFile | null },
  problems: FileProblem[],
): PreprocessSpec {
  const { image, tabular, tensor, text } = yaml.config.preprocess ?? {};
  const { maxBatchSize, tokenizer } = context;
  if (image !== undefined) return imageSpec(image, yaml, inputs, problems);
  if (tabular !== undefined) return tabularSpec(tabular, yaml, inputs, problems);
  if (tensor !== undefined) return tensorFieldsSpec(tensor, inputs, maxBatchSize, yaml, problems);
  if (text !== undefined && tokenizer !== null) {
    return textSpec(text, tokenizer, inputs, yaml, problems);
  }
  return none;
}

type Preprocess = NonNullable<ParsedModelYaml['config']['preprocess']>;

function imageSpec(
  image: NonNullable<Preprocess['image']>,
  yaml: ParsedModelYaml,
  inputs: readonly TensorSpec[],
  problems: FileProblem[],
): PreprocessSpec {
  const at = ['preprocess', 'image'];
  const [width = 0, height = 0] = image.size;
  const [red = 0, green = 0, blue = 0] = image.background;
  const channels = image.color === 'gray' ? 1 : 3;
  for (const key of ['mean', 'std'] as const) {
    const count = image[key]?.length ?? channels;
    if (count === channels) continue;
    const message = `has ${count} entries; color ${image.color} has ${channels} channels`;
    problems.push(yaml.problemAt([...at, key], message));
  }
  if (image.std?.includes(0) === true) {
    problems.push(yaml.problemAt([...at, 'std'], 'must not be 0: values are divided by it'));
  }
  if (image.crop_pct !== undefined && image.fit !== 'cover') {
    const message = `goes with fit cover; fit is ${image.fit}`;
    problems.push(yaml.problemAt([...at, 'crop_pct'], message));
  }
  const wanted =
    image.layout === 'nchw' ? [-1, channels, height, width] : [-1, height, width, channels];
  checkSingleInput(yaml, at, inputs, wanted, ['FP32', 'UINT8', 'FP16'], problems);
  return {
    kind: 'image',
    input: image.input,
    width,
    height,
    orient: image.orient,
    background: [red, green, blue],
    fit: image.fit,
    cropPct: image.crop_pct ?? 1,
    pad: image.pad,
    color: image.color,
    layout: image.layout,
    interpolation: image.interpolation,
    // Of pixels divided by 255, UINT8 would keep nothing but 0 and 1.
    scale: image.scale ?? (inputs[0]?.datatype === 'UINT8' ? 1 : 1 / 255),
    mean: image.mean ?? Array<number>(channels).fill(0),
    std: image.std ?? Array<number>(channels).fill(1),
  };
}

function tabularSpec(
  tabular: NonNullable<Preprocess['tabular']>,
  yaml: ParsedModelYaml,
  inputs: readonly TensorSpec[],
  problems: FileProblem[],
): PreprocessSpec {
  const at = ['preprocess', 'tabular'];
  const columns = tabularColumns(tabular.columns, yaml, problems);
  const width = columns.reduce((sum, column) => sum + columnWidth(column), 0);
  checkSingleInput(yaml, at, inputs, [-1, width], ['FP32', 'FP64'], problems);
  return { kind: 'tabular', columns };
}

/** A preprocessor fills one input, row by row; `wanted` is its shape with the rows left open. */
function checkSingleInput(
  yaml: ParsedModelYaml,
  at: readonly string[],
  inputs: readonly TensorSpec[],
  wanted: readonly number[],
  datatypes: readonly string[],
  problems: FileProblem[],
): void {
  const [input] = inputs;
  if (input === undefined || inputs.length > 1) {
    const names = inputs.slice(0, 10).map(({ name }) => name);
    const message = `needs a model with exactly one input; this one has ${inputs.length}: ${names.join(', ')}`;
    problems.push(yaml.problemAt(at, message));
    return;
  }
  if (!datatypes.includes(input.datatype)) {
    const message = `makes ${datatypes.join(' or ')}; input "${input.name}" is ${input.datatype}`;
    problems.push(yaml.problemAt(at, message));
  }
  const rows = input.shape[0];
  const fits =
    input.shape.length === wanted.length &&
    (rows === -1 || rows === 1) &&
    input.shape.every((size, i) => i === 0 || size === -1 || size === wanted[i]);
  if (fits) return;
  const message = `makes a tensor of shape ${shapeText(wanted)}; input "${input.name}" is ${shapeText(input.shape)}`;
  problems.push(yaml.problemAt(at, message));
}

/** The postprocessor; what does not fit the model's outputs is added to `problems`. */
export function postprocessSpec(
  yaml: ParsedModelYaml,
  outputs: readonly TensorSpec[],
  labels: readonly string[],
  problems: FileProblem[],
): PostprocessSpec {
  const { classify, detect, tensor } = yaml.config.postprocess ?? {};
  if (tensor !== undefined) {
    needsPreprocess(yaml, ['postprocess', 'tensor'], problems);
    return tensorAnswerSpec(tensor, outputs, yaml, problems);
  }
  if (detect !== undefined) return detectSpec(detect, yaml, outputs, labels, problems);
  if (classify === undefined) return none;
  const at = ['postprocess', 'classify'];
  needsPreprocess(yaml, at, problems);
  if (classify.softmax && classify.sigmoid) {
    const message = 'does not go with softmax: scores are logits of one label or of several';
    problems.push(yaml.problemAt([...at, 'sigmoid'], message));
  }
  const scores = scoresOutput(yaml, classify.output, outputs, problems);
  if (scores === undefined) return none;
  const classes = scores.shape.at(-1);
  if (scores.shape.length !== 2) {
    const message = `needs scores of shape [rows, classes]; output "${scores.name}" is ${shapeText(scores.shape)}`;
    problems.push(yaml.problemAt([...at, 'output'], message));
  } else if (classes !== -1 && classes !== labels.length) {
    const message = `there are ${labels.length}; output "${scores.name}" has ${classes} classes`;
    problems.push(yaml.problemAt([...at, 'labels'], message));
  }
  return {
    kind: 'classify',
    output: scores.name,
    labels,
    topK: Math.min(classify.top_k, labels.length),
    activation: classify.softmax ? 'softmax' : classify.sigmoid ? 'sigmoid' : 'none',
    threshold: classify.threshold ?? null,
  };
}

function needsPreprocess(
  yaml: ParsedModelYaml,
  at: readonly string[],
  problems: FileProblem[],
): void {
  if (Object.keys(yaml.config.preprocess ?? {}).length > 0) return;
  const message = 'needs a preprocess section: raw tensors are answered with raw tensors';
  problems.push(yaml.problemAt(at, message));
}

function scoresOutput(
  yaml: ParsedModelYaml,
  name: string | undefined,
  outputs: readonly TensorSpec[],
  problems: FileProblem[],
): TensorSpec | undefined {
  const at = ['postprocess', 'classify', 'output'];
  const names = outputs.slice(0, 10).map((output) => output.name);
  if (name !== undefined) {
    const named = outputs.find((output) => output.name === name);
    if (named === undefined) {
      const message = `the model has no output "${name}"; it has: ${names.join(', ')}`;
      problems.push(yaml.problemAt(at, message));
    } else if (!scoreDatatypes.has(named.datatype)) {
      const message = `must be FP32, FP64 or FP16; output "${name}" is ${named.datatype}`;
      problems.push(yaml.problemAt(at, message));
    }
    return named;
  }
  const candidates = outputs.filter(
    (output) => output.datatype === 'FP32' && output.shape.length === 2,
  );
  if (candidates.length === 1) return candidates[0];
  const message = `must be given: ${candidates.length} outputs are FP32 of rank 2; the model has: ${names.join(', ')}`;
  problems.push(yaml.problemAt(at, message));
  return undefined;
}
