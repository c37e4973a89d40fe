/** A job's input becomes the tensors of one item, ready to be stacked with others into a batch. */
import {
  detectOutputs,
  type Failure,
  failure,
  type JobInput,
  type ModelManifest,
  type PipelineRow,
  type PostprocessSpec,
  type Tensor,
} from '@inferry/contracts';
import { err, ok, type Result, unreachable } from '@inferry/runtime';
import { isFilledDatatype } from './elements.ts';
import { type ImagePlace, imageTensor } from './image.ts';
import type { ImagePlacement } from './image/fit.ts';
import { isImageDatatype } from './image/resize-plan.ts';
import { reject } from './rejection.ts';
import { tabularTensor } from './tabular.ts';
import { rowsOf, tensorProblems } from './tensor-input.ts';

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
}

/** The tensors that a pipeline made of its rows. */
interface Filled {
  readonly tensors: readonly Tensor[];
  readonly placements: readonly ImagePlacement[];
}

/** Raw tensors are checked and passed on, pipeline rows go through the model's preprocessor. */
export async function prepare(
  manifest: ModelManifest,
  input: JobInput,
  place: ImagePlace,
): Promise<Result<PreparedItem, Failure>> {
  if (input.form === 'tensors') {
    const outputs = input.outputs ?? [];
    const { tensors } = input;
    const problems = tensorProblems(manifest, tensors, outputs);
    if (problems.length > 0) return reject(problems);
    return ok({ tensors, rows: rowsOf(manifest, tensors), outputs, placements: [] });
  }
  if (input.rows.length === 0) return reject(['at least one row is needed']);
  if (manifest.maxBatchSize === 0 && input.rows.length > 1) {
    return reject([`the model takes one row at a time, not ${input.rows.length}`]);
  }
  const filled = await fillTensors(manifest, input.rows, place);
  if (!filled.ok) return filled;
  const { value } = filled;
  return ok({
    get tensors() {
      return value.tensors;
    },
    rows: input.rows.length,
    outputs: readOutputs(manifest.postprocess),
    placements: value.placements,
  });
}

/** What the postprocessor reads; empty for all outputs. */
function readOutputs(spec: PostprocessSpec): readonly string[] {
  switch (spec.kind) {
    case 'classify':
      return [spec.output];
    case 'detect':
      return detectOutputs(spec.head);
    case 'none':
      return [];
  }
}

async function fillTensors(
  manifest: ModelManifest,
  rows: readonly PipelineRow[],
  place: ImagePlace,
): Promise<Result<Filled, Failure>> {
  const spec = manifest.preprocess;
  if (spec.kind === 'none') return reject(['the model has no pipeline: send its tensors']);
  const [input, ...others] = manifest.inputs;
  if (input === undefined || others.length > 0) {
    return err(failure('model_error', 'a model with a pipeline must have exactly one input'));
  }
  const { datatype } = input;
  if (!isFilledDatatype(datatype)) {
    return err(
      failure('model_error', `a pipeline cannot fill input "${input.name}" (${datatype})`),
    );
  }
  switch (spec.kind) {
    case 'image': {
      if (!isImageDatatype(datatype)) {
        return err(
          failure('model_error', `images cannot fill input "${input.name}" (${datatype})`),
        );
      }
      const { maxBatchSize } = manifest;
      const image = await imageTensor({ spec, input, datatype, maxBatchSize }, rows, place);
      if (!image.ok) return image;
      const { value } = image;
      return ok({
        get tensors() {
          return [value.tensor];
        },
        placements: value.placements,
      });
    }
    case 'tabular': {
      const tensor = tabularTensor(spec, input, datatype, rows);
      return tensor.ok ? ok({ tensors: [tensor.value], placements: [] }) : tensor;
    }
    default:
      return unreachable(spec);
  }
}
