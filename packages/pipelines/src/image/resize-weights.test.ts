/** Weights of 16 bits are those in double precision, whatever is made smaller or larger. */
import { expect, test } from 'vitest';
import { type AxisWeights, axisWeights, integerWeights } from './resize-weights.ts';

/** None is off by 1, and those of each output sum to exactly 1. */
function compare(exact: AxisWeights): void {
  const { values, fractionBits } = integerWeights(exact);
  const unit = 2 ** fractionBits;
  const worst = values.reduce(
    (most, value, i) => Math.max(most, Math.abs(value - (exact.values[i] ?? NaN) * unit)),
    0,
  );
  expect(worst).toBeLessThan(1);
  for (const [i, count] of exact.counts.entries()) {
    const own = values.subarray(i * exact.tapsMax, i * exact.tapsMax + count);
    expect(own.reduce((sum, value) => sum + value, 0)).toBe(unit);
  }
}

test.each(['linear', 'cubic', 'lanczos3'] as const)('of %s, for any sizes', (interpolation) => {
  for (let size = 9; size < 65_536; size = Math.ceil(size * 1.07)) {
    const fit = { from: 0, to: size, start: 0, count: 24 };
    compare(axisWeights(interpolation, fit, size, 24, false));
  }
});

test('where the heaviest is all but the largest number of 16 bits', () => {
  const shares = [8192.4, 8192.4, 32_766.9, 8192.4, 8191.9].map((share) => share / 65_536);
  const values = Float64Array.from(shares);
  compare({ starts: Int32Array.of(0), counts: Int32Array.of(5), values, tapsMax: 5 });
});
