import { describe, expect, test } from 'vitest';
import { growthBytesMax, judgeMemory } from './memory.ts';

const mebibyte = 1024 * 1024;

/** Memory at each of 40 instants. */
function samples(bytesAt: (i: number) => number): number[] {
  return Array.from({ length: 40 }, (_, i) => bytesAt(i));
}

describe('memory under a steady load', () => {
  test('a process that is warm after the first quarter has not grown', () => {
    const warm = samples((i) => Math.min(100 + i * 20, 300) * mebibyte);
    expect(judgeMemory('gateway', warm)).toMatchObject({ isGrown: false });
  });

  test('one that takes more and more has', () => {
    const leak = samples((i) => (100 + i * 4) * mebibyte);
    expect(judgeMemory('gateway', leak)).toMatchObject({ isGrown: true });
  });

  test('a peak is no growth, and the limit is what decides', () => {
    const peak = samples((i) => (i === 39 ? 900 : 100) * mebibyte);
    expect(judgeMemory('worker', peak)).toMatchObject({ isGrown: false });
    const step = samples((i) => 100 * mebibyte + (i < 20 ? 0 : growthBytesMax));
    expect(judgeMemory('worker', step)).toMatchObject({ isGrown: false });
    expect(judgeMemory('worker', step, growthBytesMax - 1)).toMatchObject({ isGrown: true });
  });

  test('too few samples are refused instead of judged', () => {
    expect(() => judgeMemory('redis', [1, 2, 3])).toThrow('3 samples of memory, needs 8');
  });
});
