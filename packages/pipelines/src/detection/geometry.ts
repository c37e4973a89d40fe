/** Boxes in the forms that models give them, as corners in pixels of the model's input. */
import type { BoxFormat, BoxUnits } from '@inferry/contracts';
import { cornersEach } from './suppress.ts';

export interface InputSize {
  readonly inputWidth: number;
  readonly inputHeight: number;
}

/** Writes the corners of one box to `out` at `at`; boxes are numbered in the family's own order. */
export type CornersOf = (box: number, out: Float64Array, at: number) => void;

/** Exponents are cut here, so that the area of no box overflows. Sizes that large are clipped anyway. */
const exponentMax = 80;

export function exponential(exponent: number): number {
  return Math.exp(Math.min(exponent, exponentMax));
}

function writeCorners(
  out: Float64Array,
  at: number,
  left: number,
  top: number,
  right: number,
  bottom: number,
): void {
  out[at] = left;
  out[at + 1] = top;
  out[at + 2] = right;
  out[at + 3] = bottom;
}

export function writeCentred(
  out: Float64Array,
  at: number,
  x: number,
  y: number,
  width: number,
  height: number,
): void {
  writeCorners(out, at, x - width / 2, y - height / 2, x + width / 2, y + height / 2);
}

/** Where four numbers of a decoded box lie: number k of box b at `b * boxStride + k * numberStride`. */
export interface BoxGrid {
  readonly values: Float32Array;
  readonly boxStride: number;
  readonly numberStride: number;
  readonly format: BoxFormat;
  readonly units: BoxUnits;
}

/** For boxes that the graph has decoded. */
export function decodedCorners(grid: BoxGrid, size: InputSize): CornersOf {
  const { values, boxStride, numberStride, format } = grid;
  const scaleX = grid.units === 'relative' ? size.inputWidth : 1;
  const scaleY = grid.units === 'relative' ? size.inputHeight : 1;
  return (box, out, at) => {
    const first = box * boxStride;
    const a = (values[first] ?? 0) * scaleX;
    const b = (values[first + numberStride] ?? 0) * scaleY;
    const c = (values[first + 2 * numberStride] ?? 0) * scaleX;
    const d = (values[first + 3 * numberStride] ?? 0) * scaleY;
    if (format === 'xyxy') writeCorners(out, at, a, b, c, d);
    else if (format === 'xywh') writeCorners(out, at, a, b, a + c, b + d);
    else writeCentred(out, at, a, b, c, d);
  };
}

/** A feature map over the input: `perCell` boxes in each cell, cells row by row. */
export interface Level {
  readonly stride: number;
  readonly columns: number;
  readonly cells: number;
  readonly perCell: number;
  /** Number of its first box. */
  readonly firstBox: number;
}

/** The levels of strides one after the other; a cell that the input covers in part counts. */
export function levelsOf(
  parts: readonly { readonly stride: number; readonly perCell: number }[],
  { inputWidth, inputHeight }: InputSize,
): readonly Level[] {
  const levels: Level[] = [];
  let firstBox = 0;
  for (const { stride, perCell } of parts) {
    const columns = Math.ceil(inputWidth / stride);
    const cells = columns * Math.ceil(inputHeight / stride);
    levels.push({ stride, columns, cells, perCell, firstBox });
    firstBox += cells * perCell;
  }
  return levels;
}

export function boxCount(levels: readonly Level[]): number {
  return levels.reduce((sum, { cells, perCell }) => sum + cells * perCell, 0);
}

/** Which level a box belongs to; there are few, and the last is the answer for what is beyond. */
export function levelIndexOf(levels: readonly Level[], box: number): number {
  let index = levels.length - 1;
  while (index > 0 && (levels[index]?.firstBox ?? 0) > box) index -= 1;
  return index;
}

/** Room for the corners of `count` boxes. */
export function cornersArray(count: number): Float64Array {
  return new Float64Array(count * cornersEach);
}
