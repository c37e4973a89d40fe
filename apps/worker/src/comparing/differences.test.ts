import { type Datatype, numberToHalf, type Tensor } from '@inferry/contracts';
import { describe, expect, test } from 'vitest';
import { cosineOf, differenceOf, joined } from './differences.ts';

function floats(...values: number[]): Tensor {
  const bytes = new Uint8Array(Float32Array.from(values).buffer);
  return { name: 'y', datatype: 'FP32', shape: [values.length], bytes };
}

test('the largest and the mean distance, and the cosine', () => {
  const difference = differenceOf(floats(3, 0, 4), floats(4, 0, 3));
  expect(difference).toMatchObject({ name: 'y', count: 3, maxAbs: 1, sumAbs: 2 });
  expect(cosineOf(difference)).toBeCloseTo(24 / 25);
});

test('several samples add up', () => {
  const both = joined(
    differenceOf(floats(1, 2), floats(1, 2)),
    differenceOf(floats(0, 2), floats(0, -2)),
  );
  expect(both).toMatchObject({ count: 4, maxAbs: 4, sumAbs: 4 });
  expect(cosineOf(both)).toBeCloseTo((5 - 4) / 9);
});

describe('what cannot be compared is infinitely far apart', () => {
  test.each([
    ['another shape', floats(1, 2), { ...floats(1, 2), shape: [2, 1] }],
    ['a number and none', floats(1), floats(NaN)],
    ['a number and infinity', floats(1), floats(Infinity)],
    ['opposite infinities', floats(-Infinity), floats(Infinity)],
  ])('%s', (_, a, b) => {
    expect(differenceOf(a, b).maxAbs).toBe(Infinity);
  });

  test('but not where both have none, or the same infinity', () => {
    expect(differenceOf(floats(NaN, Infinity), floats(NaN, Infinity)).maxAbs).toBe(0);
  });
});

test('nothing in both is the same direction; nothing in one is none', () => {
  expect(cosineOf(differenceOf(floats(0, 0), floats(0, 0)))).toBe(1);
  expect(cosineOf(differenceOf(floats(0, 0), floats(0, 1)))).toBe(0);
});

const arrays: readonly (readonly [Datatype, ArrayBufferView])[] = [
  ['FP16', Uint16Array.of(numberToHalf(1.5), numberToHalf(-2))],
  ['FP64', Float64Array.of(1.5, -2)],
  ['INT8', Int8Array.of(1, -2)],
  ['UINT8', Uint8Array.of(1, 2)],
  ['BOOL', Uint8Array.of(1, 0)],
  ['INT16', Int16Array.of(1, -2)],
  ['UINT16', Uint16Array.of(1, 2)],
  ['INT32', Int32Array.of(1, -2)],
  ['UINT32', Uint32Array.of(1, 2)],
  ['INT64', BigInt64Array.of(1n, -2n)],
  ['UINT64', BigUint64Array.of(1n, 2n)],
];

test.each(arrays)('%s is read as numbers', (datatype, values) => {
  const bytes = new Uint8Array(values.buffer);
  const one = { name: 'y', datatype, shape: [2], bytes };
  const zero = { ...one, bytes: new Uint8Array(bytes.length) };
  expect(differenceOf(one, one)).toMatchObject({ count: 2, maxAbs: 0, sumAbs: 0 });
  const apart = differenceOf(one, zero);
  expect(apart.maxAbs).toBeGreaterThanOrEqual(1);
  expect(apart.maxAbs).toBeLessThanOrEqual(2);
});

test('text is the same or not', () => {
  const text = (...bytes: number[]): Tensor => ({
    name: 'y',
    datatype: 'BYTES',
    shape: [1],
    bytes: Uint8Array.from(bytes),
  });
  expect(differenceOf(text(1, 0, 0, 0, 65), text(1, 0, 0, 0, 65)).maxAbs).toBe(0);
  expect(differenceOf(text(1, 0, 0, 0, 65), text(1, 0, 0, 0, 66)).maxAbs).toBe(Infinity);
});
