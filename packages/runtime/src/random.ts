/** Randomness, as something a test can replace by a seeded source. */
import { randomBytes, randomFillSync } from 'node:crypto';

export interface Random {
  /** `length` unpredictable bytes. */
  bytes(length: number): Uint8Array;
  /** A number in [0, 1). */
  unit(): number;
}

/** A call of the operating system costs the same for 16 bytes as for these. */
const poolBytes = 4096;
const pool = new Uint8Array(poolBytes);
/** Bytes of the pool that were handed out: all of them, until it is filled for the first time. */
let poolUsed = poolBytes;

/** Never hands out the same bytes of the pool twice; what it returns is a copy. */
function pooledBytes(length: number): Uint8Array {
  if (length > poolBytes) return randomBytes(length);
  if (poolUsed + length > poolBytes) {
    randomFillSync(pool);
    poolUsed = 0;
  }
  const bytes = pool.slice(poolUsed, poolUsed + length);
  poolUsed += length;
  return bytes;
}

export const systemRandom: Random = {
  bytes: pooledBytes,
  unit: () => new DataView(pooledBytes(4).buffer).getUint32(0) / 2 ** 32,
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
