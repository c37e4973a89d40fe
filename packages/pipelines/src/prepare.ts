/** A job's input becomes the tensors of one item, ready to be stacked with others into a batch. */
import {
  type Failure,
  failure,
  type JobInput,
  type ModelManifest,
  type PipelineRow,
  type Tensor,
} from '@inferry/contracts';
import { err, ok, type Result, unreachable } from '@inferry/runtime';
import { isFilledDatatype } from './elements.ts';
import { imageTensor } from './image.ts';
import { reject } from './rejection.ts';
import { tabularTensor } from './tabular.ts';
import { rowsOf, tensorProblems } from './tensor-input.ts';

export interface PreparedItem {
  readonly tensors: readonly Tensor[];
  /** Leading dimension; 1 where the model has no batch dimension. */
  readonly rows: number;
  /** Names of the outputs to compute; all of them when empty. */
  readonly outputs: readonly string[];
}

/**
 * Raw tensors are checked and passed on, pipeline rows go through the model's preprocessor.
 * `input_rejected`: this input cannot be used, and the detail says which part of it and why.
 * `model_error`: the manifest asks for what pipelines cannot fill.
 */
export async function prepare(
  manifest: ModelManifest,
  input: JobInput,
): Promise<Result<PreparedItem, Failure>> {
  if (input.form === 'tensors') {
    const outputs = input.outputs ?? [];
    const problems = tensorProblems(manifest, input.tensors, outputs);
    if (problems.length > 0) return reject(problems);
    return ok({ tensors: input.tensors, rows: rowsOf(manifest, input.tensors), outputs });
  }
  if (input.rows.length === 0) return reject(['at least one row is needed']);
  if (manifest.maxBatchSize === 0 && input.rows.length > 1) {
    return reject([`the model takes one row at a time, not ${input.rows.length}`]);
  }
  const tensor = await pipelineTensor(manifest, input.rows);
  if (!tensor.ok) return tensor;
  const { postprocess } = manifest;
  return ok({
    tensors: [tensor.value],
    rows: input.rows.length,
    outputs: postprocess.kind === 'classify' ? [postprocess.output] : [],
  });
}

async function pipelineTensor(
  manifest: ModelManifest,
  rows: readonly PipelineRow[],
): Promise<Result<Tensor, Failure>> {
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
    case 'image':
      return imageTensor(spec, input, datatype, rows);
    case 'tabular':
      return tabularTensor(spec, input, datatype, rows);
    default:
      return unreachable(spec);
  }
}
