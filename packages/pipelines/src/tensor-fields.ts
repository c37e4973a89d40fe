/** Nested JSON arrays become the model's inputs, each field of a row one of them. */
import {
  type Failure,
  fieldShape,
  halfToNumber,
  type ModelManifest,
  type Normalization,
  numberToHalf,
  type PipelineRow,
  readNested,
  type Tensor,
  type TensorFieldsSpec,
  type TensorSpec,
} from '@inferry/contracts';
import { invariant, ok, type Result } from '@inferry/runtime';
import { modelError } from './model-error.ts';
import { reject } from './rejection.ts';

/**
 * One tensor for each input, [rows, ...shape of the field], without the first where the model has no batch
 * dimension. `input_rejected` names the fields that are missing or unknown, and where one deviates from the
 * shape and the datatype of its input.
 */
export function fieldTensors(
  spec: TensorFieldsSpec,
  manifest: ModelManifest,
  rows: readonly PipelineRow[],
): Result<readonly Tensor[], Failure> {
  const names = new Set(manifest.inputs.map(({ name }) => name));
  const problems = rows.flatMap((row, index) =>
    Object.keys(row)
      .filter((name) => !names.has(name))
      .map((name) => `${place(rows, index)}"${name}" is not an input of this model`),
  );
  const tensors: Tensor[] = [];
  for (const input of manifest.inputs) {
    const { datatype } = input;
    if (datatype === 'BF16')
      return modelError(`takes BF16, which cannot be filled: "${input.name}"`);
    const shapes: (readonly number[])[] = [];
    const parts: Uint8Array[] = [];
    for (const [index, row] of rows.entries()) {
      const label = `${place(rows, index)}"${input.name}"`;
      const value = row[input.name];
      if (value === undefined) {
        problems.push(`${label} is missing`);
        continue;
      }
      const field = readNested(
        value,
        datatype,
        shapes[0] ?? fieldShape(input, manifest.maxBatchSize),
      );
      if (!field.ok) {
        problems.push(`${label} ${field.error}`);
        continue;
      }
      shapes.push(field.value.shape);
      parts.push(field.value.bytes);
    }
    tensors.push(tensorOf(spec, manifest, input, shapes[0] ?? [], parts));
  }
  return problems.length > 0 ? reject(problems) : ok(tensors);
}

function place(rows: readonly PipelineRow[], index: number): string {
  return rows.length === 1 ? '' : `row ${index}: `;
}

function tensorOf(
  spec: TensorFieldsSpec,
  manifest: ModelManifest,
  { name, datatype }: TensorSpec,
  shape: readonly number[],
  parts: readonly Uint8Array[],
): Tensor {
  const normalization = spec.normalize[name];
  const tensor: Tensor = {
    name,
    datatype,
    shape: manifest.maxBatchSize === 0 ? shape : [parts.length, ...shape],
    // A copy of its own, aligned for typed views.
    bytes: new Uint8Array(Buffer.concat(parts)),
  };
  if (normalization !== undefined) normalize(tensor, normalization);
  return tensor;
}

/** In place, in double precision. */
function normalize({ datatype, shape, bytes }: Tensor, { scale, mean, std }: Normalization): void {
  const values = floatsOf(datatype, bytes);
  const width = shape.at(-1) ?? 1;
  for (const [i, value] of values.entries()) {
    const at = i % width;
    const centre = mean[mean.length === 1 ? 0 : at] ?? 0;
    const spread = std[std.length === 1 ? 0 : at] ?? 1;
    if (datatype === 'FP16')
      values[i] = numberToHalf((halfToNumber(value) * scale - centre) / spread);
    else values[i] = (value * scale - centre) / spread;
  }
}

/** FP16: the bits. */
function floatsOf(
  datatype: Tensor['datatype'],
  bytes: Uint8Array,
): Float32Array | Float64Array | Uint16Array {
  const { buffer, byteOffset, byteLength } = bytes;
  switch (datatype) {
    case 'FP32':
      return new Float32Array(buffer, byteOffset, byteLength / 4);
    case 'FP64':
      return new Float64Array(buffer, byteOffset, byteLength / 8);
    default:
      invariant(datatype === 'FP16', 'only floats are normalised');
      return new Uint16Array(buffer, byteOffset, byteLength / 2);
  }
}
