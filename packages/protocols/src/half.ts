/** 16-bit floats as numbers: IEEE 754 binary16 and bfloat16, each rounded to nearest, ties to even. */

/** The number a binary16 bit pattern stands for. */
export function fromHalf(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 0x1f;
  const fraction = bits & 0x3ff;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 31) return fraction === 0 ? sign * Infinity : NaN;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

/** The binary16 bit pattern nearest to a number; beyond 65519.99... that is an infinity. */
export function toHalf(value: number): number {
  if (Number.isNaN(value)) return 0x7e00;
  const sign = value < 0 || Object.is(value, -0) ? 0x8000 : 0;
  const size = Math.abs(value);
  if (size >= 65_520) return sign | 0x7c00;
  // Below 2^-14 all numbers are multiples of 2^-24; above, of 2^(exponent - 10).
  const exponent = size < 2 ** -14 ? -14 : Math.floor(Math.log2(size));
  const steps = roundHalfEven(size / 2 ** (exponent - 10));
  // A subnormal's steps are its bits; a normal's leading 1 is in the exponent, and a carry raises it.
  return sign | (size < 2 ** -14 ? steps : ((exponent + 14) << 10) + steps);
}

export function fromBrainFloat(bits: number): number {
  scratch.setUint32(0, bits << 16);
  return scratch.getFloat32(0);
}

/** The bfloat16 bit pattern nearest to the 32-bit float nearest to a number. */
export function toBrainFloat(value: number): number {
  if (Number.isNaN(value)) return 0x7fc0;
  scratch.setFloat32(0, value);
  const bits = scratch.getUint32(0);
  const lower = bits & 0xffff;
  const upper = bits >>> 16;
  const isUp = lower > 0x8000 || (lower === 0x8000 && (upper & 1) === 1);
  return isUp ? upper + 1 : upper;
}

const scratch = new DataView(new ArrayBuffer(4));

function roundHalfEven(value: number): number {
  const floor = Math.floor(value);
  const rest = value - floor;
  if (rest !== 0.5) return Math.round(value);
  return floor % 2 === 0 ? floor : floor + 1;
}
