/**
 * What Triton's ONNX Runtime backend fills in where a configuration does not say it: nothing where inputs and
 * outputs are both there; else what is missing, from the model file.
 */
import type { Datatype } from '@inferry/contracts';
import type { OnnxSignature } from '../onnx-signature.ts';
import type { OnnxTensor } from '../onnx-value-info.ts';
import type { Notes } from './notes.ts';
import type { TritonConfig, TritonTensor } from './triton-config.ts';

/** Of a model that can batch and whose configuration gives no size. */
const maxBatchSizeDefault = 4;

export type CompleteConfig = TritonConfig & {
  readonly max_batch_size: number;
  readonly input: readonly TritonTensor[];
  readonly output: readonly TritonTensor[];
};

export function completeConfig(
  config: TritonConfig,
  signature: OnnxSignature,
  notes: Notes,
): CompleteConfig {
  const { input = [], max_batch_size: given = 0, output = [] } = config;
  if (input.length > 0 && output.length > 0) {
    return { ...config, max_batch_size: given, input, output };
  }
  const all = [...signature.inputs, ...signature.outputs];
  const fixed = all.find(({ shape }) => shape?.[0] !== -1);
  if (fixed !== undefined && given > 0) {
    const message = `must be 0: the first dimension of "${fixed.name}" does not vary in the model`;
    notes.problem(['max_batch_size'], message);
  }
  const canBatch = fixed === undefined && signature.inputs.length > 0;
  const rows = canBatch && given === 0 ? maxBatchSizeDefault : given;
  const isJoined = canBatch && rows > 1 && config.dynamic_batching === undefined;
  const fill = (tensor: OnnxTensor): TritonTensor => filled(tensor, rows > 0);
  return {
    ...config,
    max_batch_size: rows,
    input: input.length > 0 ? input : signature.inputs.map(fill),
    output: output.length > 0 ? output : signature.outputs.map(fill),
    ...(isJoined ? { dynamic_batching: {} } : {}),
  };
}

/** A scalar is called [1], as a configuration has no empty dimensions. */
function filled({ datatype, name, shape }: OnnxTensor, isBatched: boolean): TritonTensor {
  const dims = (shape ?? []).slice(isBatched ? 1 : 0);
  const data_type = `TYPE_${datatype === 'BYTES' ? 'STRING' : datatype}` as const;
  if (dims.length > 0 || shape === null) return { name, data_type, dims };
  return { name, data_type, dims: [1], reshape: { shape: [] } };
}

/** Undefined for `TYPE_INVALID`, and where nothing is given. */
export function datatypeOf({
  data_type: type,
}: Pick<TritonTensor, 'data_type'>): Datatype | undefined {
  if (type === undefined || type === 'TYPE_INVALID') return undefined;
  return type === 'TYPE_STRING' ? 'BYTES' : (type.slice('TYPE_'.length) as Datatype);
}
