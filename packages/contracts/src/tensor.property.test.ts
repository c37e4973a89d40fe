import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  datatypeBytes,
  elementCount,
  holdsElements,
  isDatatype,
  joinBytes,
  splitBytes,
} from './tensor.ts';

const elementLists = fc.array(fc.uint8Array({ maxLength: 40 }), { maxLength: 20 });

function plain(elements: readonly Uint8Array[] | undefined): number[][] | undefined {
  return elements?.map((element) => [...element]);
}

describe('the bytes of a BYTES tensor', () => {
  test('split into what was joined, also as a view at an odd offset', () => {
    fc.assert(
      fc.property(elementLists, fc.nat(7), (elements, offset) => {
        const joined = joinBytes(elements);
        const shifted = new Uint8Array(joined.length + offset + 3);
        shifted.set(joined, offset);
        const view = shifted.subarray(offset, offset + joined.length);
        expect(plain(splitBytes(view, elements.length))).toEqual(plain(elements));
      }),
    );
  });

  test('join to what was split, whenever any bytes can be split', () => {
    const nearlyValid = fc
      .tuple(elementLists, fc.nat(3), fc.uint8Array({ maxLength: 6 }))
      .map(([elements, cut, tail]) => {
        const joined = joinBytes(elements);
        return Uint8Array.from([...joined.subarray(0, joined.length - cut), ...tail]);
      });
    fc.assert(
      fc.property(fc.oneof(fc.uint8Array(), nearlyValid), fc.nat(20), (bytes, count) => {
        const elements = splitBytes(bytes, count);
        expect(holdsElements(bytes, count)).toBe(elements !== undefined);
        if (elements === undefined) return;
        expect(elements).toHaveLength(count);
        expect([...joinBytes(elements)]).toEqual([...bytes]);
      }),
    );
  });

  test('do not split into any other number of elements', () => {
    fc.assert(
      fc.property(elementLists, fc.nat(25), (elements, count) => {
        fc.pre(count !== elements.length);
        expect(splitBytes(joinBytes(elements), count)).toBeUndefined();
      }),
    );
  });

  test.each([
    ['a length cut short', [1, 0, 0], 1],
    ['an element cut short', [2, 0, 0, 0, 7], 1],
    ['a length of 4 GiB', [255, 255, 255, 255, 7], 1],
    ['bytes after the last element', [1, 0, 0, 0, 7, 9], 1],
    ['bytes where no element is', [0], 0],
    ['nothing where an element should be', [], 1],
  ])('%s are refused', (_what, bytes, count) => {
    expect(splitBytes(Uint8Array.from(bytes), count)).toBeUndefined();
    expect(holdsElements(Uint8Array.from(bytes), count)).toBe(false);
  });

  test('a count far beyond the bytes is refused without work for each element', () => {
    expect(splitBytes(joinBytes([new Uint8Array(3)]), Number.MAX_SAFE_INTEGER)).toBeUndefined();
  });

  test('the elements are views into the bytes, not copies', () => {
    const joined = joinBytes([Uint8Array.of(1, 2)]);
    expect(splitBytes(joined, 1)?.[0]?.buffer).toBe(joined.buffer);
  });
});

describe('shapes and datatypes', () => {
  test('a scalar has one element, a shape with a zero none', () => {
    expect(elementCount([])).toBe(1);
    expect(elementCount([2, 3, 4])).toBe(24);
    expect(elementCount([5, 0, 7])).toBe(0);
    expect(elementCount([...Array<number>(32).fill(Number.MAX_SAFE_INTEGER), 0])).toBe(0);
  });

  test('a datatype is known by its name alone', () => {
    for (const name of Object.keys(datatypeBytes)) expect(isDatatype(name)).toBe(true);
    for (const name of ['', 'fp32', 'FP8', 'toString', '__proto__', 'constructor']) {
      expect(isDatatype(name)).toBe(false);
    }
  });
});
