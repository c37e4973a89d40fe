/**
 * Filter weights of a separable, antialiased resize, as Pillow lays them out (`Resample.c`): when the image
 * shrinks, the filter is stretched over all source pixels that an output pixel covers.
 */
import type { ImageSpec } from '@inferry/contracts';
import type { AxisFit } from './fit.ts';

/** Output `i` is the sum of `values[i * tapsMax + k] * source[starts[i] + k]` for k below `counts[i]`. */
export interface AxisWeights {
  readonly starts: Int32Array;
  /** 0 where nothing of the source lies: padding. */
  readonly counts: Int32Array;
  /** Each output's weights sum to 1. */
  readonly values: Float64Array;
  readonly tapsMax: number;
}

type Interpolation = ImageSpec['interpolation'];
interface Filter {
  /** Half of the width, in source pixels of an image that is not made smaller. */
  readonly support: number;
  weight(distance: number): number;
}

function sinc(x: number): number {
  return x === 0 ? 1 : Math.sin(Math.PI * x) / (Math.PI * x);
}

const filters: { readonly [Name in Exclude<Interpolation, 'nearest'>]: Filter } = {
  linear: { support: 1, weight: (x) => Math.max(0, 1 - Math.abs(x)) },
  // Keys' cubic convolution with a = -0.5.
  cubic: {
    support: 2,
    weight(x) {
      const d = Math.abs(x);
      if (d < 1) return (1.5 * d - 2.5) * d * d + 1;
      return d < 2 ? ((-0.5 * d + 2.5) * d - 4) * d + 2 : 0;
    },
  },
  lanczos3: { support: 3, weight: (x) => (Math.abs(x) < 3 ? sinc(x) * sinc(x / 3) : 0) },
};

/**
 * The weights of `length` outputs over `size` source pixels. Outputs beside the fit repeat the nearest
 * one in it (`edge`), or have no weights.
 */
export function axisWeights(
  interpolation: Interpolation,
  { from, to, start, count }: AxisFit,
  size: number,
  length: number,
  isEdgeRepeated: boolean,
): AxisWeights {
  const scale = (to - from) / count;
  const stretch = Math.max(1, scale);
  const filter = interpolation === 'nearest' ? null : filters[interpolation];
  const support = (filter?.support ?? 0) * stretch;
  const tapsMax = Math.min(size, Math.ceil(support) * 2 + 1);
  const starts = new Int32Array(length);
  const counts = new Int32Array(length);
  const values = new Float64Array(length * tapsMax);
  for (let i = 0; i < length; i += 1) {
    const inside = Math.min(start + count - 1, Math.max(start, i));
    if (inside !== i && !isEdgeRepeated) continue;
    const center = from + (inside - start + 0.5) * scale;
    if (filter === null) {
      starts[i] = Math.min(size - 1, Math.max(0, Math.floor(center)));
      counts[i] = 1;
      values[i * tapsMax] = 1;
      continue;
    }
    const first = Math.max(0, Math.floor(center - support + 0.5));
    const end = Math.min(size, Math.floor(center + support + 0.5));
    starts[i] = first;
    counts[i] = end - first;
    const at = i * tapsMax;
    let sum = 0;
    for (let k = 0; k < end - first; k += 1) {
      const weight = filter.weight((first + k - center + 0.5) / stretch);
      values[at + k] = weight;
      sum += weight;
    }
    for (let k = 0; k < end - first; k += 1) values[at + k] = (values[at + k] ?? 0) / sum;
  }
  return { starts, counts, values, tapsMax };
}

/** Of 16 bits, less the 1 that a weight may get more than its share. */
const weightMax = 32_766;
/** With so many bits of fraction, 32 bits hold the sum of any number of weighted levels. */
const fractionBitsMax = 20;

export interface IntegerWeights {
  readonly values: Int16Array;
  /** A weight of 1 is 2 to the power of this. */
  readonly fractionBits: number;
}

/**
 * The same weights as integers, as fine as 16 bits allow. Their sums are rounded, not each by itself: those of
 * one output still sum to exactly 1, so that even areas stay even, and none is off by 1 or more.
 */
export function integerWeights({ values, counts, tapsMax }: AxisWeights): IntegerWeights {
  let largest = 2 ** -fractionBitsMax;
  for (const value of values) largest = Math.max(largest, Math.abs(value));
  const fractionBits = Math.min(fractionBitsMax, Math.floor(Math.log2(weightMax / largest)));
  const unit = 2 ** fractionBits;
  const rounded = new Int16Array(values.length);
  for (let i = 0; i < counts.length; i += 1) {
    const at = i * tapsMax;
    const end = at + (counts[i] ?? 0);
    let sum = 0;
    let given = 0;
    for (let k = at; k < end; k += 1) {
      sum += (values[k] ?? 0) * unit;
      const next = Math.round(sum);
      rounded[k] = next - given;
      given = next;
    }
  }
  return { values: rounded, fractionBits };
}
