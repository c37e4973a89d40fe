/** bfloat16 as numbers, rounded to nearest, ties to even. FP16 is in contracts. */

/** The number a bfloat16 bit pattern stands for. */
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
