/** How far the outputs of two models are apart, number by number. Pure. */
import { halfToNumber, type Tensor } from '@inferry/contracts';

/** Of one output of one input, or of several of them together. */
export interface Difference {
  readonly name: string;
  /** Numbers that were compared. */
  readonly count: number;
  /** Infinity where shapes differ, where one has a number and the other has none, or for other text. */
  readonly maxAbs: number;
  readonly sumAbs: number;
  /** For the cosine: products of both, squares of each. */
  readonly dot: number;
  readonly squaresA: number;
  readonly squaresB: number;
}

/** `b` against `a`. Outputs of text differ by infinity, or not at all. */
export function differenceOf(a: Tensor, b: Tensor): Difference {
  const apart = {
    name: a.name,
    count: 0,
    maxAbs: Infinity,
    sumAbs: Infinity,
    dot: 0,
    squaresA: 0,
    squaresB: 0,
  };
  if (a.shape.join() !== b.shape.join()) return apart;
  const [left, right] = [numbersOf(a), numbersOf(b)];
  if (left === null || right === null) {
    const isSame = a.datatype === b.datatype && Buffer.compare(a.bytes, b.bytes) === 0;
    return isSame ? { ...apart, maxAbs: 0, sumAbs: 0 } : apart;
  }
  let [maxAbs, sumAbs, dot, squaresA, squaresB] = [0, 0, 0, 0, 0];
  for (let i = 0; i < left.length; i += 1) {
    const [one, other] = [left[i] ?? 0, right[i] ?? 0];
    // What is no number, or infinite, has to be so in both.
    const abs = Object.is(one, other) ? 0 : Math.abs(one - other);
    const distance = Number.isNaN(abs) ? Infinity : abs;
    maxAbs = Math.max(maxAbs, distance);
    sumAbs += distance;
    if (!Number.isFinite(one) || !Number.isFinite(other)) continue;
    dot += one * other;
    squaresA += one * one;
    squaresB += other * other;
  }
  return { name: a.name, count: left.length, maxAbs, sumAbs, dot, squaresA, squaresB };
}

/** Of the same output, for several inputs. */
export function joined(a: Difference, b: Difference): Difference {
  return {
    name: a.name,
    count: a.count + b.count,
    maxAbs: Math.max(a.maxAbs, b.maxAbs),
    sumAbs: a.sumAbs + b.sumAbs,
    dot: a.dot + b.dot,
    squaresA: a.squaresA + b.squaresA,
    squaresB: a.squaresB + b.squaresB,
  };
}

/** -1..1; 1 for outputs that are 0 in both. */
export function cosineOf({ dot, maxAbs, squaresA, squaresB }: Difference): number {
  if (squaresA === 0 && squaresB === 0) return maxAbs === 0 ? 1 : 0;
  return squaresA === 0 || squaresB === 0 ? 0 : dot / Math.sqrt(squaresA * squaresB);
}

/** Null for text. */
function numbersOf({ bytes, datatype }: Tensor): ArrayLike<number> | null {
  // A copy is aligned.
  const { buffer } = new Uint8Array(bytes);
  switch (datatype) {
    case 'FP32':
      return new Float32Array(buffer);
    case 'FP64':
      return new Float64Array(buffer);
    case 'FP16':
      return Array.from(new Uint16Array(buffer), halfToNumber);
    case 'INT8':
      return new Int8Array(buffer);
    case 'UINT8':
    case 'BOOL':
      return new Uint8Array(buffer);
    case 'INT16':
      return new Int16Array(buffer);
    case 'UINT16':
      return new Uint16Array(buffer);
    case 'INT32':
      return new Int32Array(buffer);
    case 'UINT32':
      return new Uint32Array(buffer);
    case 'INT64':
      return Array.from(new BigInt64Array(buffer), Number);
    case 'UINT64':
      return Array.from(new BigUint64Array(buffer), Number);
    case 'BF16':
    case 'BYTES':
      return null;
  }
}
