/** Randomness, as something a test can replace by a seeded source. */
import { randomBytes } from 'node:crypto';

export interface Random {
  /** `length` unpredictable bytes. */
  bytes(length: number): Uint8Array;
  /** A number in [0, 1). */
  unit(): number;
}

export const systemRandom: Random = {
  bytes: (length) => randomBytes(length),
  unit: () => randomBytes(4).readUInt32LE(0) / 2 ** 32,
};

/** mulberry32: small, fast, good enough to drive tests; never for ids in production. */
export function seededRandom(seed: number): Random {
  let state = seed >>> 0;
  const unit = (): number => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
  return {
    unit,
    bytes: (length) => Uint8Array.from({ length }, () => Math.floor(unit() * 256)),
  };
}
