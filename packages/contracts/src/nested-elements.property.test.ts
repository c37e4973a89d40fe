/** Nested arrays become tensors and back without a loss, and a deviation is named with its place. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { JsonValue } from './json.ts';
import { type NestedDatatype, readNested, writeNested } from './nested-elements.ts';

/** Elements that a datatype holds exactly, as they are written. */
const elements: Readonly<Record<NestedDatatype, fc.Arbitrary<JsonValue>>> = {
  BOOL: fc.boolean(),
  UINT8: fc.integer({ min: 0, max: 0xff }),
  UINT16: fc.integer({ min: 0, max: 0xffff }),
  UINT32: fc.integer({ min: 0, max: 0xffff_ffff }),
  INT8: fc.integer({ min: -0x80, max: 0x7f }),
  INT16: fc.integer({ min: -0x8000, max: 0x7fff }),
  INT32: fc.integer({ min: -0x8000_0000, max: 0x7fff_ffff }),
  UINT64: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }).map(written),
  INT64: fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }).map(written),
  FP16: fc.oneof(fc.integer({ min: -2048, max: 2048 }), fc.constantFrom('NaN', 'Infinity')),
  FP32: fc.oneof(fc.float({ noNaN: true, noDefaultInfinity: true }), fc.constant('-Infinity')),
  FP64: fc.double({ noNaN: true, noDefaultInfinity: true }),
  BYTES: fc.string({ unit: 'grapheme' }).filter((text) => !text.includes('\0')),
};

/** As a number where that is exact, else as decimal text. */
function written(value: bigint): JsonValue {
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : value.toString();
}

function nest(leaves: readonly JsonValue[], shape: readonly number[]): JsonValue {
  const [size = 0, ...rest] = shape;
  if (shape.length === 0) return leaves[0] ?? null;
  const each = leaves.length / size;
  return Array.from({ length: size }, (_, i) => nest(leaves.slice(i * each, (i + 1) * each), rest));
}

describe.each(Object.keys(elements) as NestedDatatype[])('%s', (datatype) => {
  const shapes = fc.array(fc.integer({ min: 1, max: 4 }), { maxLength: 3 });
  const tensors = shapes.chain((shape) => {
    const count = shape.reduce((product, size) => product * size, 1);
    const leaves = fc.array(elements[datatype], { minLength: count, maxLength: count });
    return leaves.map((list) => ({ shape, nested: nest(list, shape) }));
  });

  test('comes back as it was, whether the dimensions are fixed or found', () => {
    fc.assert(
      fc.property(tensors, fc.boolean(), ({ shape, nested }, isOpen) => {
        const wanted = isOpen ? shape.map(() => -1) : shape;
        const read = readNested(nested, datatype, wanted);
        if (!read.ok) throw new Error(read.error);
        expect(read.value.shape).toEqual(shape);
        expect(writeNested(read.value.bytes, datatype, shape)).toEqual(nested);
      }),
    );
  });
});

describe('what deviates is named', () => {
  test.each<[string, JsonValue, NestedDatatype, readonly number[], string]>([
    ['no array', 1, 'FP32', [2], 'is FP32 [2]: it must be an array of 2'],
    ['a short row', [[1, 2], [3]], 'FP32', [2, 2], 'is FP32 [2, 2]: [1] has 1 entries, not 2'],
    [
      'rows that disagree',
      [[1], [2, 3]],
      'FP32',
      [-1, -1],
      'is FP32 [-1, -1]: [1] has 2 entries, not 1',
    ],
    [
      'a deeper array',
      [[1], [[2]]],
      'FP32',
      [2, 1],
      'is FP32 [2, 1]: [1][0] is an array, not an element',
    ],
    ['a scalar that is none', [1], 'FP32', [], 'is FP32 []: it is an array, not an element'],
    [
      'a word',
      [[1, 'x']],
      'INT8',
      [1, 2],
      'is INT8 [1, 2]: [0][1] must be an integer from -128 to 127',
    ],
    [
      'a fraction',
      [1.5],
      'INT64',
      [1],
      'is INT64 [1]: [0] must be an integer from -9223372036854775808',
    ],
    ['an inexact integer', [2 ** 60], 'INT64', [1], 'written in full'],
    ['an integer out of range', [2n ** 63n], 'INT64', [1], 'to 9223372036854775807'],
    ['a number for a truth value', [1], 'BOOL', [1], '[0] must be true or false'],
    ['a number too large', [1e39], 'FP32', [1], '[0] is too large for its datatype'],
    ['a null', [null], 'FP64', [1], '[0] must be a number'],
    ['half a surrogate pair', ['\ud800'], 'BYTES', [1], '[0] must be text'],
    ['a zero character', ['a\0'], 'BYTES', [1], '[0] must be text without zero characters'],
  ])('%s', (_, value, datatype, shape, message) => {
    const read = readNested(value, datatype, shape);
    expect(read.ok ? '' : read.error).toContain(message);
  });
});

test('an empty dimension holds nothing', () => {
  const read = readNested([[], []], 'FP32', [2, -1]);
  expect(read).toMatchObject({ ok: true, value: { shape: [2, 0], bytes: new Uint8Array() } });
  expect(writeNested(new Uint8Array(), 'FP32', [2, 0])).toEqual([[], []]);
});
