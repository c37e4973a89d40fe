/**
 * A detector's outputs become boxes with labels, in pixels of the picture that the caller sent: score
 * filter, decoding of what is left, non-maximum suppression, and the way back through the resize.
 */
import {
  type DetectSpec,
  detectOutputs,
  type Failure,
  type JobOutput,
  type JsonValue,
  type Tensor,
} from '@inferry/contracts';
import { invariant, ok, type Result } from '@inferry/runtime';
import type { ImagePlacement } from '../image/fit.ts';
import { areFinite, floatValues } from '../float-values.ts';
import { modelError } from '../model-error.ts';
import { Candidates } from './candidates.ts';
import { boxesFamily, endToEndFamily, yolov5Family, yolov8Family } from './decoded-families.ts';
import type { Family, RowReader } from './family.ts';
import { cornersArray } from './geometry.ts';
import { ssdFamily, yoloAnchorFamily, yoloxFamily } from './grid-families.ts';
import { cornersEach, suppress } from './suppress.ts';

/**
 * `{ detections: [{ label, score, box: { x, y, width, height } }] }` for each row, best first. Boxes are in
 * pixels of the original image after EXIF orientation, cut to it, to a hundredth of a pixel; one with
 * nothing inside the image is left out. `placements` has one entry a row.
 *
 * `model_error`: an output is missing, has another shape than the spec says, or numbers that are not finite.
 */
export function detect(
  spec: DetectSpec,
  tensors: readonly Tensor[],
  rows: number,
  placements: readonly ImagePlacement[],
): Result<JobOutput, Failure> {
  const outputs: Float32Array[] = [];
  const shapes: string[] = [];
  for (const name of detectOutputs(spec.head)) {
    const tensor = tensors.find((candidate) => candidate.name === name);
    if (tensor === undefined) return modelError(`gave no output "${name}"`);
    const floats = floatValues(tensor);
    if (floats === undefined) return modelError(`gave no complete floats in output "${name}"`);
    // Scores and pixels need no more than FP32.
    const values = floats instanceof Float64Array ? Float32Array.from(floats) : floats;
    if (!areFinite(values)) {
      return modelError(`gave a value that is not a finite number in output "${name}"`);
    }
    shapes.push(`"${name}" [${tensor.shape.join(', ')}]`);
    outputs.push(values);
  }
  const family = familyOf(spec);
  if (!family.fits(outputs.map((values) => values.length / rows))) {
    const { head, labels } = spec;
    return modelError(
      `gave ${shapes.join(' and ')}, which is not what ${head.family} gives for ${rows} rows and ${labels.length} labels`,
    );
  }
  const answers: JsonValue[] = [];
  for (let row = 0; row < rows; row += 1) {
    const placement = placements[row];
    invariant(placement !== undefined, 'a detector gets images, and each has its place');
    const own = outputs.map((values) => {
      const each = values.length / rows;
      return values.subarray(row * each, (row + 1) * each);
    });
    answers.push({ detections: detections(spec, family.read(own), placement) });
  }
  return ok({ form: 'rows', rows: answers });
}

function familyOf(spec: DetectSpec): Family {
  const { head } = spec;
  switch (head.family) {
    case 'boxes':
      return boxesFamily(head, spec);
    case 'ssd':
      return ssdFamily(head, spec);
    case 'yolov3':
    case 'yolov4':
      return yoloAnchorFamily(head, spec);
    case 'yolov5':
      return yolov5Family(head, spec);
    case 'yolov8':
      return yolov8Family(head, spec);
    case 'yolox':
      return yoloxFamily(head, spec);
    case 'end_to_end':
      return endToEndFamily(head, spec);
  }
}

function detections(spec: DetectSpec, reader: RowReader, placement: ImagePlacement): JsonValue[] {
  const candidates = new Candidates();
  reader.collect({ threshold: spec.scoreThreshold, isMultiLabel: spec.isMultiLabel }, candidates);
  const ranked = candidates.best(spec.candidatesMax);
  const corners = cornersArray(ranked.length);
  const groups = new Int32Array(ranked.length);
  const visible: { readonly at: number; readonly box: JsonValue }[] = [];
  for (const at of ranked) {
    const place = visible.length * cornersEach;
    reader.corners(candidates.box(at), corners, place);
    const box = boxInImage(corners, place, placement);
    if (box === undefined) continue;
    groups[visible.length] = spec.isClassAgnostic ? 0 : candidates.label(at);
    visible.push({ at, box });
  }
  const kept =
    spec.head.family === 'end_to_end'
      ? visible.slice(0, spec.detectionsMax)
      : suppress(
          { count: visible.length, corners, groups },
          spec.iouThreshold,
          spec.detectionsMax,
        ).flatMap((index) => visible[index] ?? []);
  return kept.map(({ at, box }) => ({
    label: spec.labels[candidates.label(at)] ?? '',
    score: candidates.score(at),
    box,
  }));
}

/** Undefined where nothing of the box lies in the image. */
function boxInImage(
  corners: Float64Array,
  at: number,
  image: ImagePlacement,
): JsonValue | undefined {
  const { sourceWidth, sourceHeight, scaleX, scaleY, offsetX, offsetY } = image;
  const x = inSource(corners[at] ?? 0, offsetX, scaleX, sourceWidth);
  const y = inSource(corners[at + 1] ?? 0, offsetY, scaleY, sourceHeight);
  const width = hundredths(inSource(corners[at + 2] ?? 0, offsetX, scaleX, sourceWidth) - x);
  const height = hundredths(inSource(corners[at + 3] ?? 0, offsetY, scaleY, sourceHeight) - y);
  return width > 0 && height > 0 ? { x, y, width, height } : undefined;
}

function inSource(tensorPixel: number, offset: number, scale: number, size: number): number {
  return hundredths(Math.min(size, Math.max(0, (tensorPixel - offset) / scale)));
}

/** What lies below a hundredth of a pixel says nothing, and would triple the length of the answer. */
function hundredths(pixels: number): number {
  return Math.round(pixels * 100) / 100;
}
