import { describe, expect, test } from 'vitest';
import { type Random, seededRandom, systemRandom } from './random.ts';

const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

describe.each<[string, Random]>([
  ['system', systemRandom],
  ['seeded', seededRandom(1)],
])('%s randomness', (_name, random) => {
  test('bytes have the length asked for, at, below and beyond any internal block', () => {
    for (const length of [0, 1, 16, 4095, 4096, 4097, 10_000]) {
      expect(random.bytes(length)).toHaveLength(length);
    }
  });

  test('no two calls answer the same bytes', () => {
    const seen = new Set(Array.from({ length: 5_000 }, () => text(random.bytes(16))));
    expect(seen.size).toBe(5_000);
  });

  test('a unit lies in [0, 1) and they spread over all of it', () => {
    const tenths = Array.from({ length: 10 }, () => 0);
    for (let i = 0; i < 10_000; i += 1) {
      const unit = random.unit();
      expect(unit).toBeGreaterThanOrEqual(0);
      expect(unit).toBeLessThan(1);
      tenths[Math.floor(unit * 10)]! += 1;
    }
    // 1,000 expected in each, with a standard deviation of 30.
    for (const count of tenths) expect(Math.abs(count - 1_000)).toBeLessThan(300);
  });

  test('every value of a byte comes up', () => {
    expect(new Set(random.bytes(20_000)).size).toBe(256);
  });
});

test("system bytes are the caller's own: later calls do not change them", () => {
  const first = systemRandom.bytes(16);
  const before = text(first);
  for (let i = 0; i < 1_000; i += 1) systemRandom.bytes(16).fill(0);
  expect(text(first)).toBe(before);
  expect(first.buffer.byteLength).toBe(16);
});

test('overwriting what was handed out never shows in what is handed out later', () => {
  for (let i = 0; i < 600; i += 1) {
    const bytes = systemRandom.bytes(16);
    expect(bytes.some((byte) => byte !== 0)).toBe(true);
    bytes.fill(0);
  }
});

test('a seed fixes the whole sequence, and another seed gives another', () => {
  const sequence = (seed: number): unknown => {
    const random = seededRandom(seed);
    return [random.unit(), text(random.bytes(20)), random.unit()];
  };
  expect(sequence(7)).toEqual(sequence(7));
  expect(sequence(8)).not.toEqual(sequence(7));
});
