import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { halfToNumber, numberToHalf } from './half.ts';

const isNan = (bits: number): boolean => (bits & 0x7c00) === 0x7c00 && (bits & 0x3ff) !== 0;

/** Neighbours of a finite half on the number line, by walking the magnitudes. */
function halvesAround(value: number): [number, number] {
  let low = 0;
  let high = 0x7c00;
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (halfToNumber(middle) <= value) low = middle;
    else high = middle;
  }
  return [low, high];
}

describe('half precision', () => {
  test('every half survives the way to a number and back', () => {
    for (let bits = 0; bits <= 0xffff; bits += 1) {
      const back = numberToHalf(halfToNumber(bits));
      if (isNan(bits)) expect(isNan(back)).toBe(true);
      else expect(back).toBe(bits);
    }
  });

  test('known values have the bits of IEEE 754', () => {
    expect(numberToHalf(1)).toBe(0x3c00);
    expect(numberToHalf(-2)).toBe(0xc000);
    expect(numberToHalf(65_504)).toBe(0x7bff);
    expect(numberToHalf(65_519.999)).toBe(0x7bff);
    expect(numberToHalf(65_520)).toBe(0x7c00);
    expect(numberToHalf(-Infinity)).toBe(0xfc00);
    expect(numberToHalf(2 ** -24)).toBe(1);
    expect(numberToHalf(2 ** -25)).toBe(0);
    expect(numberToHalf(-0)).toBe(0x8000);
    expect(halfToNumber(0x3555)).toBeCloseTo(1 / 3, 3);
  });

  test('a float32 becomes the nearest half, ties going to the even one', () => {
    fc.assert(
      fc.property(fc.float({ min: 0, max: 65_504, noNaN: true }), (value) => {
        const [low, high] = halvesAround(value);
        const below = value - halfToNumber(low);
        const above = (high === 0x7c00 ? 65_536 : halfToNumber(high)) - value;
        const tie = low % 2 === 0 ? low : high;
        const nearest = below === above ? tie : below < above ? low : high;
        expect(numberToHalf(value)).toBe(nearest);
        expect(numberToHalf(-value)).toBe(nearest | 0x8000);
      }),
    );
  });

  test('halfway between two halves goes to the even one', () => {
    for (let bits = 0; bits < 0x7bff; bits += 7) {
      const middle = (halfToNumber(bits) + halfToNumber(bits + 1)) / 2;
      expect(numberToHalf(middle)).toBe(bits % 2 === 0 ? bits : bits + 1);
    }
  });
});
