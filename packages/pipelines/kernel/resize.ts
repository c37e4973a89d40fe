/**
 * The resize kernel, in AssemblyScript: RGB pixels of 8 bits become one normalised image of a tensor, in
 * one pass over the source. Filter weights, positions and strides are laid out by the host in a plan
 * (resize-plan.ts says what each field is); the kernel allocates nothing and decides nothing.
 *
 * For each row of the result: the source rows under the filter are summed in 32-bit integers (weights of 16
 * bits, two rows to a multiplication), then that row is filtered along x in float32, normalised, and
 * written in the datatype and with the strides of the tensor. Sizes and addresses are in bytes.
 */

// Fields of a plan: its 32-bit words, by number.
const WIDTH: usize = 0;
const HEIGHT: usize = 1;
const SOURCE_STRIDE: usize = 2;
const SOURCE_BYTES: usize = 3;
const ROW_STARTS: usize = 4;
const ROW_PAIRS: usize = 5;
const ROW_WEIGHTS: usize = 6;
const PAIRS_MAX: usize = 7;
const ROW_BIAS: usize = 8;
const COLUMN_STARTS: usize = 9;
const COLUMN_WEIGHTS: usize = 10;
const TAPS: usize = 11;
const SUMS: usize = 12;
const LINE: usize = 13;
const CHANNELS: usize = 14;
const DATATYPE: usize = 15;
const STEP_X: usize = 16;
const STEP_Y: usize = 17;
const ORIGIN: usize = 18;
const CHANNEL_STEP: usize = 19;
const FACTORS: usize = 20;
const BIASES: usize = 23;
/** What black and white are in the sums. */
const LOWEST: usize = 26;
const HIGHEST: usize = 27;

const FP32: i32 = 0;
const FP16: i32 = 1;

function word(plan: usize, index: usize): i32 {
  return load<i32>(plan + (index << 2));
}

function address(plan: usize, index: usize): usize {
  return <usize>load<u32>(plan + (index << 2));
}

/** Resizes the pixels at `source` into the image at `target`, as the plan says. */
export function resize(plan: usize, source: usize, target: usize): void {
  const width = word(plan, WIDTH);
  const height = word(plan, HEIGHT);
  const channels = word(plan, CHANNELS);
  const datatype = word(plan, DATATYPE);
  const lineBytes = (<usize>((width + 3) & ~3)) << 2;
  const size: usize = datatype == FP32 ? 4 : datatype == FP16 ? 2 : 1;
  const stepX = <usize>word(plan, STEP_X) * size;
  const stepY = <usize>word(plan, STEP_Y) * size;
  const channelStep = <usize>word(plan, CHANNEL_STEP) * size;
  const line = address(plan, LINE);
  let row = target + <usize>word(plan, ORIGIN) * size;
  for (let y = 0; y < height; y++) {
    sumRows(plan, source, y);
    if (channels == 1) filterGray(plan, width);
    else filterColor(plan, width, lineBytes);
    let to = row;
    for (let channel = 0; channel < channels; channel++) {
      const from = line + <usize>channel * lineBytes;
      if (datatype == FP32) writeFloats(from, to, width, stepX);
      else if (datatype == FP16) writeHalves(from, to, width, stepX);
      else writeBytes(from, to, width, stepX);
      to += channelStep;
    }
    row += stepY;
  }
}

/** The weighted sum of the source rows under row `y` of the result, for the columns that are needed. */
function sumRows(plan: usize, source: usize, y: i32): void {
  const at = (<usize>y) << 2;
  const stride = address(plan, SOURCE_STRIDE);
  const bytes = address(plan, SOURCE_BYTES);
  const pairs = load<i32>(address(plan, ROW_PAIRS) + at);
  const first = source + <usize>load<u32>(address(plan, ROW_STARTS) + at);
  const weights = address(plan, ROW_WEIGHTS) + ((<usize>y * address(plan, PAIRS_MAX)) << 2);
  const bias = i32x4.splat(pairs == 0 ? 0 : word(plan, ROW_BIAS));
  let to = address(plan, SUMS);
  for (let i: usize = 0; i < bytes; i += 16) {
    let sum0 = bias;
    let sum1 = bias;
    let sum2 = bias;
    let sum3 = bias;
    let upper = first + i;
    let weight = weights;
    for (let pair = 0; pair < pairs; pair++) {
      const both = v128.load32_splat(weight);
      const above = v128.load(upper);
      const below = v128.load(upper + stride);
      const low = i8x16.shuffle(
        above,
        below,
        0,
        16,
        1,
        17,
        2,
        18,
        3,
        19,
        4,
        20,
        5,
        21,
        6,
        22,
        7,
        23,
      );
      const high = i8x16.shuffle(
        above,
        below,
        8,
        24,
        9,
        25,
        10,
        26,
        11,
        27,
        12,
        28,
        13,
        29,
        14,
        30,
        15,
        31,
      );
      sum0 = i32x4.add(sum0, i32x4.dot_i16x8_s(i16x8.extend_low_i8x16_u(low), both));
      sum1 = i32x4.add(sum1, i32x4.dot_i16x8_s(i16x8.extend_high_i8x16_u(low), both));
      sum2 = i32x4.add(sum2, i32x4.dot_i16x8_s(i16x8.extend_low_i8x16_u(high), both));
      sum3 = i32x4.add(sum3, i32x4.dot_i16x8_s(i16x8.extend_high_i8x16_u(high), both));
      upper += stride << 1;
      weight += 4;
    }
    v128.store(to, f32x4.convert_i32x4_s(sum0));
    v128.store(to, f32x4.convert_i32x4_s(sum1), 16);
    v128.store(to, f32x4.convert_i32x4_s(sum2), 32);
    v128.store(to, f32x4.convert_i32x4_s(sum3), 48);
    to += 64;
  }
}

/** One pixel of the result, its three channels in the lower lanes; what a filter overshoots is cut off. */
function filterPixel(pixels: usize, weights: usize, taps: i32, lowest: v128, highest: v128): v128 {
  let sum = f32x4.splat(0);
  for (let tap = 0; tap < taps; tap++) {
    sum = f32x4.add(sum, f32x4.mul(v128.load(pixels), v128.load32_splat(weights)));
    pixels += 12;
    weights += 16;
  }
  return f32x4.min(highest, f32x4.max(lowest, sum));
}

/** Filters along x, four pixels at a time, into one line of floats for each channel. */
function filterColor(plan: usize, width: i32, lineBytes: usize): void {
  const sums = address(plan, SUMS);
  const taps = word(plan, TAPS);
  const factors = plan + (FACTORS << 2);
  const biases = plan + (BIASES << 2);
  const lowest = v128.load32_splat(plan + (LOWEST << 2));
  const highest = v128.load32_splat(plan + (HIGHEST << 2));
  const factor0 = v128.load32_splat(factors);
  const factor1 = v128.load32_splat(factors, 4);
  const factor2 = v128.load32_splat(factors, 8);
  const bias0 = v128.load32_splat(biases);
  const bias1 = v128.load32_splat(biases, 4);
  const bias2 = v128.load32_splat(biases, 8);
  let starts = address(plan, COLUMN_STARTS);
  let weights = address(plan, COLUMN_WEIGHTS);
  let line = address(plan, LINE);
  for (let x = 0; x < width; x += 4) {
    const p0 = filterPixel(sums + <usize>load<u32>(starts), weights, taps, lowest, highest);
    const p1 = filterPixel(sums + <usize>load<u32>(starts, 4), weights + 4, taps, lowest, highest);
    const p2 = filterPixel(sums + <usize>load<u32>(starts, 8), weights + 8, taps, lowest, highest);
    const p3 = filterPixel(
      sums + <usize>load<u32>(starts, 12),
      weights + 12,
      taps,
      lowest,
      highest,
    );
    const r01 = v128.shuffle<f32>(p0, p1, 0, 4, 1, 5);
    const r23 = v128.shuffle<f32>(p2, p3, 0, 4, 1, 5);
    const b01 = v128.shuffle<f32>(p0, p1, 2, 6, 2, 6);
    const b23 = v128.shuffle<f32>(p2, p3, 2, 6, 2, 6);
    const red = v128.shuffle<f32>(r01, r23, 0, 1, 4, 5);
    const green = v128.shuffle<f32>(r01, r23, 2, 3, 6, 7);
    const blue = v128.shuffle<f32>(b01, b23, 0, 1, 4, 5);
    v128.store(line, f32x4.add(f32x4.mul(red, factor0), bias0));
    v128.store(line + lineBytes, f32x4.add(f32x4.mul(green, factor1), bias1));
    v128.store(line + (lineBytes << 1), f32x4.add(f32x4.mul(blue, factor2), bias2));
    starts += 16;
    weights += (<usize>taps) << 4;
    line += 16;
  }
}

/** As filterColor, for one grey channel: the factors are those of luma. */
function filterGray(plan: usize, width: i32): void {
  const sums = address(plan, SUMS);
  const taps = word(plan, TAPS);
  const factors = plan + (FACTORS << 2);
  const bias = load<f32>(plan + (BIASES << 2));
  const lowest = v128.load32_splat(plan + (LOWEST << 2));
  const highest = v128.load32_splat(plan + (HIGHEST << 2));
  const factor0 = load<f32>(factors);
  const factor1 = load<f32>(factors, 4);
  const factor2 = load<f32>(factors, 8);
  const starts = address(plan, COLUMN_STARTS);
  const weights = address(plan, COLUMN_WEIGHTS);
  let line = address(plan, LINE);
  for (let x = 0; x < width; x++) {
    const group = weights + <usize>(x >> 2) * ((<usize>taps) << 4) + ((<usize>(x & 3)) << 2);
    const start = sums + <usize>load<u32>(starts + ((<usize>x) << 2));
    const pixel = filterPixel(start, group, taps, lowest, highest);
    const luma =
      f32x4.extract_lane(pixel, 0) * factor0 +
      f32x4.extract_lane(pixel, 1) * factor1 +
      f32x4.extract_lane(pixel, 2) * factor2;
    store<f32>(line, luma + bias);
    line += 4;
  }
}

function writeFloats(from: usize, to: usize, width: i32, step: usize): void {
  if (step == 4) {
    memory.copy(to, from, (<usize>width) << 2);
    return;
  }
  for (let x = 0; x < width; x++) {
    store<f32>(to, load<f32>(from));
    from += 4;
    to += step;
  }
}

/** Rounded to the nearest level, kept in 0..255. */
function writeBytes(from: usize, to: usize, width: i32, step: usize): void {
  for (let x = 0; x < width; x++) {
    const level = max<f32>(0, min<f32>(255, nearest<f32>(load<f32>(from))));
    store<u8>(to, <u8>(<i32>level));
    from += 4;
    to += step;
  }
}

function writeHalves(from: usize, to: usize, width: i32, step: usize): void {
  for (let x = 0; x < width; x++) {
    store<u16>(to, half(load<f32>(from)));
    from += 4;
    to += step;
  }
}

/** IEEE 754 binary16, rounded to nearest, ties to even; what is too large becomes infinite. */
function half(value: f32): u16 {
  const bits = reinterpret<u32>(value);
  const sign = (bits >> 16) & 0x8000;
  const magnitude = bits & 0x7fff_ffff;
  if (magnitude >= 0x4780_0000) return <u16>(sign | (magnitude > 0x7f80_0000 ? 0x7e00 : 0x7c00));
  if (magnitude < 0x3880_0000) {
    // Below the normal range: adding 0.5 shifts the bits into place, and the addition rounds them.
    const shifted = reinterpret<u32>(reinterpret<f32>(magnitude) + 0.5);
    return <u16>(sign | (shifted - 0x3f00_0000));
  }
  const isOdd = (magnitude >> 13) & 1;
  return <u16>(sign | ((magnitude - 0x3800_0000 + 0xfff + isOdd) >> 13));
}
