/** Regions of memory, for every order of taking and giving back. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { LinearMemory } from './linear-memory.ts';

const mebibyte = 1024 * 1024;

test('regions never overlap, lie within the memory, and what was given back is used again', () => {
  const action = fc.oneof(
    fc.record({ take: fc.integer({ min: 1, max: mebibyte }) }),
    fc.record({ giveBack: fc.nat() }),
  );
  fc.assert(
    fc.property(fc.array(action, { maxLength: 60 }), (actions) => {
      const memory = new LinearMemory(64 * mebibyte);
      const taken: { address: number; bytes: number }[] = [];
      for (const act of actions) {
        if ('take' in act) {
          const address = memory.allocate(act.take);
          if (address === undefined) throw new Error('there was room');
          const end = address + act.take;
          expect(address % 64).toBe(0);
          expect(end).toBeLessThanOrEqual(memory.view(0, 1).buffer.byteLength);
          const isApart = taken.every(
            (other) => end <= other.address || other.address + other.bytes <= address,
          );
          expect(isApart).toBe(true);
          taken.push({ address, bytes: act.take });
        } else if (taken.length > 0) {
          const [region] = taken.splice(act.giveBack % taken.length, 1);
          memory.release(region!.address);
        }
      }
      for (const { address } of taken) memory.release(address);
      // Everything is one hole again, at the beginning.
      expect(memory.allocate(60 * mebibyte)).toBe(64);
    }),
    { numRuns: 50 },
  );
});

test('beyond the bound there is no region, and what fits still does', () => {
  const memory = new LinearMemory(2 * mebibyte);
  expect(memory.allocate(3 * mebibyte)).toBeUndefined();
  const first = memory.allocate(mebibyte);
  expect(memory.allocate(mebibyte)).toBeUndefined();
  expect(memory.allocate(mebibyte / 2)).toBe((first ?? 0) + mebibyte);
  expect(memory.memory.buffer.byteLength).toBeLessThanOrEqual(2 * mebibyte);
});
