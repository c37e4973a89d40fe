/** Images become one tensor: decoded, resized, normalised and laid out as the model wants them. */
import {
  datatypeBytes,
  type Failure,
  type ImageSpec,
  type PipelineRow,
  type Tensor,
  type TensorSpec,
} from '@inferry/contracts';
import { invariant, ok, type Result } from '@inferry/runtime';
import type { ImagePlacement } from './image/fit.ts';
import type { ImageFiller } from './image/image-filler.ts';
import type { ImageDatatype } from './image/resize-plan.ts';
import type { TensorRoom } from './image/tensor-room.ts';
import { reject } from './rejection.ts';

/** Where images are prepared: who fills them in, and where they lie. */
export interface ImagePlace {
  readonly filler: ImageFiller;
  readonly room: TensorRoom;
}

interface ImageTensor {
  /** A view, made anew at each reading. */
  readonly tensor: Tensor;
  /** One a row. */
  readonly placements: readonly ImagePlacement[];
}

/** What a model takes: how many rows at most, 0 where it has no batch dimension, and its single input. */
export interface ImageInput {
  readonly spec: ImageSpec;
  readonly input: TensorSpec;
  readonly datatype: ImageDatatype;
  readonly maxBatchSize: number;
}

/**
 * One tensor [rows, channels, height, width] (nchw) or [rows, height, width, channels] (nhwc); the row
 * dimension is absent where the model's input has none. `input_rejected` names each bad row and why.
 */
export async function imageTensor(
  { spec, input, datatype, maxBatchSize }: ImageInput,
  rows: readonly PipelineRow[],
  { filler, room }: ImagePlace,
): Promise<Result<ImageTensor, Failure>> {
  const problems = rows.flatMap((row, index) => fieldProblems(spec, row, place(rows, index)));
  if (problems.length > 0) return reject(problems);

  const channels = spec.color === 'gray' ? 1 : 3;
  const itemShape =
    spec.layout === 'nchw'
      ? [channels, spec.height, spec.width]
      : [spec.height, spec.width, channels];
  const hasRowDimension = input.shape.length > itemShape.length;
  invariant(hasRowDimension || rows.length === 1, 'a model without a batch dimension gets one row');
  const itemBytes = spec.width * spec.height * channels * datatypeBytes[datatype];
  const bytes = itemBytes * rows.length;
  const address = room.reserve(bytes, itemBytes * Math.max(1, maxBatchSize));
  if (address === undefined) {
    return reject([`${rows.length} images need more memory than there is: ${bytes} bytes`]);
  }

  // All are done before a bug in one of them is passed on: nothing writes into memory that is given back then.
  const filled = await Promise.allSettled(
    rows.map((row, index) => {
      const target = address + index * itemBytes;
      return filler.write({ spec, datatype, bytes: imageOf(spec, row), target });
    }),
  );
  const placements: ImagePlacement[] = [];
  for (const [index, image] of filled.entries()) {
    if (image.status === 'rejected') throw image.reason;
    if (image.value.ok) placements.push(image.value.value);
    else problems.push(`${place(rows, index)}"${spec.input}" ${image.value.error}`);
  }
  if (problems.length > 0) {
    room.giveBack(address, bytes);
    return reject(problems);
  }
  const { name } = input;
  const shape = hasRowDimension ? [rows.length, ...itemShape] : itemShape;
  return ok({
    get tensor() {
      return { name, datatype, shape, bytes: room.view(address, bytes) };
    },
    placements,
  });
}

function place(rows: readonly PipelineRow[], index: number): string {
  return rows.length === 1 ? '' : `row ${index}: `;
}

function imageOf(spec: ImageSpec, row: PipelineRow): Uint8Array {
  const value = row[spec.input];
  invariant(value instanceof Uint8Array, 'the field was checked to be bytes');
  return value;
}

function fieldProblems(spec: ImageSpec, row: PipelineRow, label: string): string[] {
  const problems = Object.keys(row)
    .filter((name) => name !== spec.input)
    .map((name) => `${label}"${name}" is not an input of this model`);
  const value = row[spec.input];
  if (value === undefined) problems.push(`${label}"${spec.input}" is missing`);
  else if (!(value instanceof Uint8Array)) {
    problems.push(`${label}"${spec.input}" must be the bytes of an image`);
  }
  return problems;
}
