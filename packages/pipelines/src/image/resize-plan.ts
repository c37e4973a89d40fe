/**
 * Plans for the resize kernel: everything that depends on the sizes and not on the pixels, laid out in its
 * memory. The first words of a plan are fields, in the order of the constants in kernel/resize.ts; then come
 * positions and weights, and room for the kernel's sums.
 */
import type { Datatype, ImageSpec } from '@inferry/contracts';
import type { AxisFit, ImageFit } from './fit.ts';
import type { Orientation } from './orientation.ts';
import { type AxisWeights, axisWeights, integerWeights } from './resize-weights.ts';

/** Datatypes that the kernel writes, by its number for them. */
const datatypeCodes = { FP32: 0, FP16: 1, UINT8: 2 } as const;
export type ImageDatatype = keyof typeof datatypeCodes;

export function isImageDatatype(datatype: Datatype): datatype is ImageDatatype {
  return Object.hasOwn(datatypeCodes, datatype);
}

/** An image as it is stored, before it is turned. */
export interface SourceSize {
  readonly width: number;
  readonly height: number;
  /** Of its pixels in memory: RGB, 8 bits, rows without gaps. */
  readonly decodedWidth: number;
  readonly decodedHeight: number;
  /** Decoded pixels a pixel of the image, at most 1; the last ones may show less than a whole pixel. */
  readonly scaleX: number;
  readonly scaleY: number;
}

/** Bytes of a source and what the kernel may read behind its last pixel: a row, and a vector. */
export function sourceBytes({ decodedWidth, decodedHeight }: SourceSize): number {
  return decodedWidth * (decodedHeight + 1) * bytesPerPixel + vectorBytes;
}

const bytesPerPixel = 3;
const vectorBytes = 16;
const floatBytes = 4;
/** Pixels that the kernel filters at a time. */
const group = 4;
const fieldCount = 28;
const levelMax = 255;
/** Luma of ITU-R BT.601 with the rounding of Pillow and OpenCV. */
const luma = [19_595 / 65_536, 38_470 / 65_536, 7_471 / 65_536] as const;

interface Axis {
  readonly weights: AxisWeights;
  readonly length: number;
  /** Elements of the tensor from one to the next. */
  readonly step: number;
}

export interface ResizePlan {
  readonly bytes: number;
  /** Writes the plan into its region of the kernel's memory, which begins at `address`. */
  writeAt(address: number, memory: Uint8Array<ArrayBuffer>): void;
}

/** The fit is that of the image after orientation, in pixels of the original. */
export function resizePlan(
  spec: ImageSpec,
  datatype: ImageDatatype,
  fit: ImageFit,
  source: SourceSize,
  orientation: Orientation,
): ResizePlan {
  const { isSwapped, isXFlipped, isYFlipped } = orientation;
  const channels = spec.color === 'gray' ? 1 : 3;
  const pixelStep = spec.layout === 'nchw' ? 1 : channels;
  const channelStep = spec.layout === 'nchw' ? spec.width * spec.height : 1;
  const imageX = { fit: fit.x, length: spec.width, step: pixelStep };
  const imageY = { fit: fit.y, length: spec.height, step: pixelStep * spec.width };
  const { width, height, decodedWidth, decodedHeight, scaleX, scaleY } = source;
  const storedX = { size: width, decodedSize: decodedWidth, scale: scaleX, isFlipped: isXFlipped };
  const storedY = {
    size: height,
    decodedSize: decodedHeight,
    scale: scaleY,
    isFlipped: isYFlipped,
  };
  const x = storedAxis(spec, isSwapped ? imageY : imageX, storedX);
  const y = storedAxis(spec, isSwapped ? imageX : imageY, storedY);
  const isBgr = spec.color === 'bgr';
  const origin = firstElement(x) + firstElement(y) + (isBgr ? 2 * channelStep : 0);

  const columns = columnsOf(x);
  const rows = rowsOf(y, decodedWidth * bytesPerPixel, columns.from * bytesPerPixel);
  const rowBytes = (columns.to - columns.from) * bytesPerPixel;
  const sumBytes = (Math.ceil(rowBytes / vectorBytes) + 1) * vectorBytes * floatBytes;
  const lineBytes = columns.starts.byteLength * channels;

  const unit = 2 ** rows.fractionBits;
  const pad = spec.fit === 'contain' && typeof spec.pad === 'number' ? spec.pad : 0;
  const { factors, biases } = normalization(spec, unit, pad);

  const parts = [rows.starts, rows.pairs, rows.weights, columns.starts, columns.weights];
  const partsBytes = parts.reduce((sum, part) => sum + aligned(part.byteLength), 0);
  const fieldBytes = aligned(fieldCount * floatBytes);
  return {
    bytes: fieldBytes + partsBytes + sumBytes + aligned(lineBytes),
    writeAt(address, memory) {
      let at = fieldBytes;
      const places = parts.map((part) => {
        memory.set(new Uint8Array(part.buffer, part.byteOffset, part.byteLength), at);
        const place = address + at;
        at += aligned(part.byteLength);
        return place;
      });
      const [rowStarts = 0, rowPairs = 0, rowWeights = 0, columnStarts = 0, columnWeights = 0] =
        places;
      const words = new Int32Array(memory.buffer, address, fieldCount);
      words.set([
        x.length,
        y.length,
        decodedWidth * bytesPerPixel,
        rowBytes,
        rowStarts,
        rowPairs,
        rowWeights,
        rows.pairsMax,
        -Math.round(pad * unit),
        columnStarts,
        columnWeights,
        columns.taps,
        address + at,
        address + at + sumBytes,
        channels,
        datatypeCodes[datatype],
        x.step,
        y.step,
        origin,
        isBgr ? -channelStep : channelStep,
      ]);
      const limits = [-pad * unit, (levelMax - pad) * unit];
      const floats = new Float32Array(memory.buffer, address, fieldCount);
      floats.set([...factors, ...biases, ...limits], fieldCount - 8);
    },
  };
}

function aligned(bytes: number): number {
  return Math.ceil(bytes / vectorBytes) * vectorBytes;
}

interface StoredAxis {
  readonly size: number;
  readonly decodedSize: number;
  readonly scale: number;
  readonly isFlipped: boolean;
}

/** An axis in the order in which it is stored: backwards, then, through source and tensor alike. */
function storedAxis(
  spec: ImageSpec,
  { fit, length, step }: { readonly fit: AxisFit; readonly length: number; readonly step: number },
  { size, decodedSize, scale, isFlipped }: StoredAxis,
): Axis {
  const { from, to, start, count } = isFlipped
    ? {
        from: size - fit.to,
        to: size - fit.from,
        start: length - fit.start - fit.count,
        count: fit.count,
      }
    : fit;
  const decoded = { from: from * scale, to: to * scale, start, count };
  const isEdgeRepeated = spec.pad === 'edge';
  const weights = axisWeights(spec.interpolation, decoded, decodedSize, length, isEdgeRepeated);
  return { weights, length, step: isFlipped ? -step : step };
}

/** Where the tensor's first element lies that is written for this axis. */
function firstElement({ length, step }: Axis): number {
  return step < 0 ? (length - 1) * -step : 0;
}

/** Positions in the sums of a row and weights, four columns at a time: all with as many taps. */
function columnsOf({ weights, length }: Axis) {
  const { starts, counts, values, tapsMax } = weights;
  let from = Infinity;
  let to = 0;
  let taps = 1;
  for (let i = 0; i < length; i += 1) {
    const [start = 0, count = 0] = [starts[i], counts[i]];
    if (count === 0) continue;
    from = Math.min(from, start);
    to = Math.max(to, start + count);
    taps = Math.max(taps, count);
  }
  const groups = Math.ceil(length / group);
  const offsets = new Int32Array(groups * group);
  const floats = new Float32Array(groups * group * taps);
  for (let i = 0; i < length; i += 1) {
    const count = counts[i] ?? 0;
    if (count === 0) continue;
    // No column reads past the last one that is needed: those at the end begin earlier, with weights of 0.
    const start = starts[i] ?? 0;
    const first = Math.min(start, to - taps);
    offsets[i] = (first - from) * bytesPerPixel * floatBytes;
    const at = Math.floor(i / group) * group * taps + (i % group);
    for (let k = 0; k < count; k += 1) {
      floats[at + (start - first + k) * group] = values[i * tapsMax + k] ?? 0;
    }
  }
  return { from, to, taps, starts: offsets, weights: floats };
}

/** Positions in the source and weights, two rows to a word. */
function rowsOf({ weights, length }: Axis, stride: number, offset: number) {
  const { starts, counts, tapsMax } = weights;
  const { values, fractionBits } = integerWeights(weights);
  const pairsMax = Math.ceil(tapsMax / 2);
  const offsets = new Int32Array(length);
  const pairs = new Int32Array(length);
  const words = new Int16Array(length * pairsMax * 2);
  for (let i = 0; i < length; i += 1) {
    offsets[i] = (starts[i] ?? 0) * stride + offset;
    pairs[i] = Math.ceil((counts[i] ?? 0) / 2);
    words.set(values.subarray(i * tapsMax, (i + 1) * tapsMax), i * pairsMax * 2);
  }
  return { starts: offsets, pairs, weights: words, pairsMax, fractionBits };
}

/** What turns a sum over the pixels, in units and with the padding at 0, into values of the tensor. */
function normalization(spec: ImageSpec, unit: number, pad: number) {
  const [mean0 = 0, mean1 = 0, mean2 = 0] = spec.mean;
  const [std0 = 1, std1 = 1, std2 = 1] = spec.std;
  if (spec.color === 'gray') {
    const factors = luma.map((share) => (share * spec.scale) / std0 / unit);
    return { factors, biases: [(pad * spec.scale - mean0) / std0, 0, 0] };
  }
  const isBgr = spec.color === 'bgr';
  const means = isBgr ? [mean2, mean1, mean0] : [mean0, mean1, mean2];
  const stds = isBgr ? [std2, std1, std0] : [std0, std1, std2];
  return {
    factors: stds.map((std) => spec.scale / std / unit),
    biases: stds.map((std, i) => (pad * spec.scale - (means[i] ?? 0)) / std),
  };
}
