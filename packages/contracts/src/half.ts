/**
 * IEEE 754 half precision (FP16) as its 16 bits. Node 20 has no Float16Array, so FP16 tensors are
 * Uint16Array everywhere and this file is the only place that knows their bits.
 */

/** Distance between two subnormal halves; also the smallest positive half. */
const subnormalStep = 2 ** -24;
const smallestNormal = 2 ** -14;
/** Halfway between the largest half (65504) and the next power of two: from here on it is infinity. */
const overflowFrom = 65_520;
const infinityBits = 0x7c00;
const quietNanBits = 0x7e00;

/** The exact value of a half given as its bits (0..65535). */
export function halfToNumber(bits: number): number {
  const sign = (bits & 0x8000) === 0 ? 1 : -1;
  const exponent = (bits >> 10) & 0x1f;
  const fraction = bits & 0x3ff;
  if (exponent === 0) return sign * fraction * subnormalStep;
  if (exponent === 0x1f) return fraction === 0 ? sign * Infinity : Number.NaN;
  return sign * (1024 + fraction) * 2 ** (exponent - 25);
}

/** The bits of the half nearest to `value`; ties go to the even one, as the hardware does it. */
export function numberToHalf(value: number): number {
  if (Number.isNaN(value)) return quietNanBits;
  const sign = value < 0 || Object.is(value, -0) ? 0x8000 : 0;
  const size = Math.abs(value);
  if (size >= overflowFrom) return sign | infinityBits;
  if (size < smallestNormal) return sign | roundToEven(size / subnormalStep);
  const exponent = exponentOf(size);
  // From 1024 to 2048; at 2048 the carry runs into the exponent, which is the right half too.
  const significand = roundToEven(size / 2 ** (exponent - 10));
  return sign | (((exponent + 15) << 10) + significand - 1024);
}

const doubleView = new DataView(new ArrayBuffer(8));

/** The power of two just at or below a positive normal double. */
function exponentOf(size: number): number {
  doubleView.setFloat64(0, size);
  return ((doubleView.getUint16(0) >> 4) & 0x7ff) - 1023;
}

function roundToEven(value: number): number {
  const floor = Math.floor(value);
  const rest = value - floor;
  return rest > 0.5 || (rest === 0.5 && floor % 2 === 1) ? floor + 1 : floor;
}
