/** A job's input becomes the tensors of one item, ready to be stacked with others into a batch. */
import {
  detectOutputs,
  type Failure,
  failure,
  type ImageSpec,
  type JobInput,
  type ModelManifest,
  type PipelineRow,
  type PostprocessSpec,
  type TabularSpec,
  type Tensor,
  type TensorSpec,
} from '@inferry/contracts';
import { err, type Err, ok, type Result, unreachable } from '@inferry/runtime';
import { type ImagePlace, imageTensor } from './image.ts';
import { type ImagePlacement, paddedPixels } from './image/fit.ts';
import { isImageDatatype } from './image/resize-plan.ts';
import { reject } from './rejection.ts';
import { isTableDatatype, tabularTensor } from './tabular.ts';
import { fieldTensors } from './tensor-fields.ts';
import { rowsOf, tensorProblems } from './tensor-input.ts';
import { textTensors } from './text/text-tensors.ts';
import type { Tokenizers } from './text/tokenizers.ts';

export interface PreparedItem {
  /**
   * Views, made anew at each reading: memory may have moved since. Not transferable: copy them to send
   * them elsewhere.
   */
  readonly tensors: readonly Tensor[];
  /** Leading dimension; 1 where the model has no batch dimension. */
  readonly rows: number;
  /** Names of the outputs to compute; all of them when empty. */
  readonly outputs: readonly string[];
  /** Where each row's image lies in its tensor; empty for inputs that are no images. Plain data. */
  readonly placements: readonly ImagePlacement[];
  /** Elements of the tensors that no input fills: what follows a text, or is beside an image that is not cut. */
  readonly paddedElements: number;
}

/** What a thread prepares with. */
export interface PrepareTools extends ImagePlace {
  readonly tokenizers: Tokenizers;
}

/** The tensors that a pipeline made of its rows. */
type Filled = Pick<PreparedItem, 'tensors' | 'placements' | 'paddedElements'>;

/** Raw tensors are checked and passed on, pipeline rows go through the model's preprocessor. */
export async function prepare(
  manifest: ModelManifest,
  input: JobInput,
  tools: PrepareTools,
): Promise<Result<PreparedItem, Failure>> {
  if (input.form === 'tensors') {
    const outputs = input.outputs ?? [];
    const { tensors } = input;
    const problems = tensorProblems(manifest, tensors, outputs);
    if (problems.length > 0) return reject(problems);
    const rows = rowsOf(manifest, tensors);
    return ok({ tensors, rows, outputs, placements: [], paddedElements: 0 });
  }
  if (input.rows.length === 0) return reject(['at least one row is needed']);
  if (manifest.maxBatchSize === 0 && input.rows.length > 1) {
    return reject([`the model takes one row at a time, not ${input.rows.length}`]);
  }
  const filled = await fillTensors(manifest, input.rows, tools);
  if (!filled.ok) return filled;
  const { value } = filled;
  return ok({
    get tensors() {
      return value.tensors;
    },
    rows: input.rows.length,
    outputs: readOutputs(manifest.postprocess),
    placements: value.placements,
    paddedElements: value.paddedElements,
  });
}

/** What the postprocessor reads; empty for all outputs. */
function readOutputs(spec: PostprocessSpec): readonly string[] {
  switch (spec.kind) {
    case 'classify':
      return [spec.output];
    case 'detect':
      return detectOutputs(spec.head);
    case 'tensor':
      return spec.outputs;
    case 'none':
      return [];
  }
}

async function fillTensors(
  manifest: ModelManifest,
  rows: readonly PipelineRow[],
  tools: PrepareTools,
): Promise<Result<Filled, Failure>> {
  const spec = manifest.preprocess;
  switch (spec.kind) {
    case 'none':
      return reject(['the model has no pipeline: send its tensors']);
    case 'image':
      return imageInput(spec, manifest, rows, tools);
    case 'tabular':
      return fullTensors(tabularInput(spec, manifest, rows));
    case 'tensor':
      return fullTensors(fieldTensors(spec, manifest, rows));
    case 'text': {
      const tokenizer = await tools.tokenizers.of(manifest, spec);
      if (!tokenizer.ok) return err(failure('model_error', tokenizer.error));
      const texts = textTensors(spec, tokenizer.value, manifest.inputs, rows);
      return texts.ok ? ok({ ...texts.value, placements: [] }) : texts;
    }
    default:
      return unreachable(spec);
  }
}

function fullTensors(tensors: Result<readonly Tensor[], Failure>): Result<Filled, Failure> {
  return tensors.ok ? ok({ tensors: tensors.value, placements: [], paddedElements: 0 }) : tensors;
}

async function imageInput(
  spec: ImageSpec,
  manifest: ModelManifest,
  rows: readonly PipelineRow[],
  place: ImagePlace,
): Promise<Result<Filled, Failure>> {
  const input = singleInput(manifest);
  if (!input.ok) return input;
  const { datatype } = input.value;
  if (!isImageDatatype(datatype)) return cannotFill(input.value);
  const { maxBatchSize } = manifest;
  const wanted = { spec, input: input.value, datatype, maxBatchSize };
  const image = await imageTensor(wanted, rows, place);
  if (!image.ok) return image;
  const { value } = image;
  return ok({
    get tensors() {
      return [value.tensor];
    },
    placements: value.placements,
    paddedElements: paddedPixels(spec, value.placements) * (spec.color === 'gray' ? 1 : 3),
  });
}

function tabularInput(
  spec: TabularSpec,
  manifest: ModelManifest,
  rows: readonly PipelineRow[],
): Result<readonly Tensor[], Failure> {
  const input = singleInput(manifest);
  if (!input.ok) return input;
  const { datatype } = input.value;
  if (!isTableDatatype(datatype)) return cannotFill(input.value);
  const tensor = tabularTensor(spec, input.value, datatype, rows);
  return tensor.ok ? ok([tensor.value]) : tensor;
}

function singleInput({ inputs }: ModelManifest): Result<TensorSpec, Failure> {
  const [input, ...others] = inputs;
  if (input !== undefined && others.length === 0) return ok(input);
  return err(failure('model_error', 'images and tables fill models with exactly one input'));
}

function cannotFill({ name, datatype }: TensorSpec): Err<Failure> {
  return err(failure('model_error', `a pipeline cannot fill input "${name}" (${datatype})`));
}
