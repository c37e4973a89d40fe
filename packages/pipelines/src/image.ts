/** Images become one tensor: decoded, resized, normalised and laid out as the model wants them. */
import type { Failure, ImageSpec, PipelineRow, Tensor, TensorSpec } from '@inferry/contracts';
import { invariant, ok, type Result } from '@inferry/runtime';
import { decodeImage } from './decode.ts';
import type { ImagePlacement } from './image/fit.ts';
import { bytesOf, filledArray, type FilledDatatype, storedForm } from './elements.ts';
import { reject } from './rejection.ts';

const levels = 256;

interface ImageTensor {
  readonly tensor: Tensor;
  /** One a row. */
  readonly placements: readonly ImagePlacement[];
}

/**
 * One tensor [rows, channels, height, width] (nchw) or [rows, height, width, channels] (nhwc); the row
 * dimension is absent where the model's input has none. `input_rejected` names each bad row and why.
 */
export async function imageTensor(
  spec: ImageSpec,
  input: TensorSpec,
  datatype: FilledDatatype,
  rows: readonly PipelineRow[],
): Promise<Result<ImageTensor, Failure>> {
  const problems = rows.flatMap((row, index) => fieldProblems(spec, row, place(rows, index)));
  if (problems.length > 0) return reject(problems);
  const decoded = await Promise.all(rows.map((row) => decodeImage(spec, imageOf(spec, row))));

  const table = valueTable(spec, datatype);
  const itemShape =
    spec.layout === 'nchw'
      ? [channelsOf(spec), spec.height, spec.width]
      : [spec.height, spec.width, channelsOf(spec)];
  const itemLength = spec.width * spec.height * channelsOf(spec);
  const values = filledArray(datatype, rows.length * itemLength);
  const placements: ImagePlacement[] = [];
  for (const [index, image] of decoded.entries()) {
    if (!image.ok) {
      problems.push(`${place(rows, index)}"${spec.input}" ${image.error}`);
      continue;
    }
    writeRow(spec, table, image.value.pixels, values, index * itemLength);
    placements.push(image.value.placement);
  }
  if (problems.length > 0) return reject(problems);
  const hasRowDimension = input.shape.length > itemShape.length;
  invariant(hasRowDimension || rows.length === 1, 'a model without a batch dimension gets one row');
  const shape = hasRowDimension ? [rows.length, ...itemShape] : itemShape;
  const tensor = { name: input.name, datatype, shape, bytes: bytesOf(values) };
  return ok({ tensor, placements });
}

function channelsOf(spec: ImageSpec): number {
  return spec.color === 'gray' ? 1 : 3;
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

/** The stored value of each of the 256 levels, channel after channel: normalising is then a look-up. */
function valueTable(spec: ImageSpec, datatype: FilledDatatype): number[] {
  const table: number[] = [];
  for (let channel = 0; channel < channelsOf(spec); channel += 1) {
    const mean = spec.mean[channel] ?? 0;
    const std = spec.std[channel] ?? 1;
    for (let level = 0; level < levels; level += 1) {
      table.push(storedForm(datatype, (level * spec.scale - mean) / std));
    }
  }
  return table;
}

/** Luma of ITU-R BT.601 in 16-bit fixed point, rounded: what Pillow's "L" and OpenCV's grey are. */
function luma(red: number, green: number, blue: number): number {
  return (red * 19_595 + green * 38_470 + blue * 7_471 + 0x8000) >> 16;
}

function writeRow(
  spec: ImageSpec,
  table: readonly number[],
  rgb: Uint8Array,
  values: { [index: number]: number },
  offset: number,
): void {
  const pixels = spec.width * spec.height;
  const channels = channelsOf(spec);
  const planar = spec.layout === 'nchw';
  const pixelStride = planar ? 1 : channels;
  const channelStride = planar ? pixels : 1;
  for (let pixel = 0; pixel < pixels; pixel += 1) {
    const red = rgb[pixel * 3] ?? 0;
    const green = rgb[pixel * 3 + 1] ?? 0;
    const blue = rgb[pixel * 3 + 2] ?? 0;
    const at = offset + pixel * pixelStride;
    if (channels === 1) {
      values[at] = table[luma(red, green, blue)] ?? 0;
    } else {
      const isRgb = spec.color === 'rgb';
      values[at] = table[isRgb ? red : blue] ?? 0;
      values[at + channelStride] = table[levels + green] ?? 0;
      values[at + 2 * channelStride] = table[2 * levels + (isRgb ? blue : red)] ?? 0;
    }
  }
}
