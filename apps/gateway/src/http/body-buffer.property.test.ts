import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { BodyBuffer } from './body-buffer.ts';

/** Counts what was asked for; the memory has something in it, and once it is released something else. */
function memory() {
  const asked: number[] = [];
  const held = new Set<Uint8Array>();
  const allocate = (bytes: number): Uint8Array => {
    asked.push(bytes);
    const piece = new Uint8Array(bytes).fill(0xaa);
    held.add(piece);
    return piece;
  };
  const release = (piece: Uint8Array): void => {
    if (held.delete(piece)) piece.fill(0xbb);
  };
  return { asked, held, lent: { allocate, release, giveBack: () => undefined } };
}

const chunks = fc.array(fc.uint8Array({ maxLength: 300 }), { maxLength: 20 });
const megabyte = 1024 * 1024;

describe('a body that arrives in chunks', () => {
  test('is their bytes one after the other, whatever size it was said to have', () => {
    const declared = fc.oneof(fc.nat(10_000), fc.constant(NaN));
    fc.assert(
      fc.property(chunks, declared, (given, declaredBytes) => {
        const body = new BodyBuffer(10_000, declaredBytes, memory().lent);
        for (const chunk of given) expect(body.add(chunk)).toBe(true);
        expect(Buffer.from(body.bytes())).toEqual(Buffer.concat(given));
      }),
    );
  });

  test('is refused by the first byte that is too much', () => {
    fc.assert(
      fc.property(chunks, fc.nat(2_000), (given, bytesMax) => {
        const body = new BodyBuffer(bytesMax, NaN, memory().lent);
        let size = 0;
        for (const chunk of given) {
          size += chunk.length;
          const isTaken = body.add(chunk);
          expect(isTaken).toBe(size <= bytesMax);
          if (!isTaken) return;
        }
      }),
    );
  });

  test('is the chunk itself where there is one, and else copied once into memory of its size', () => {
    const { asked, lent } = memory();
    const only = Uint8Array.of(1, 2, 3);
    const small = new BodyBuffer(megabyte, 3, lent);
    small.add(only);
    expect(small.bytes().buffer).toBe(only.buffer);
    expect(asked).toEqual([]);
    const large = new BodyBuffer(megabyte, 300_000, lent);
    for (let i = 0; i < 5; i += 1) large.add(new Uint8Array(60_000));
    expect(large.bytes()).toHaveLength(300_000);
    expect(asked).toEqual([300_000]);
  });

  test('takes little more memory than has arrived, whatever it says', () => {
    const { asked, held, lent } = memory();
    const body = new BodyBuffer(8 * megabyte, 8 * megabyte, lent);
    let size = 0;
    for (let i = 0; i < 8 * 16; i += 1) {
      body.add(new Uint8Array(64 * 1024));
      size += 64 * 1024;
      const heldBytes = [...held].reduce((sum, { length }) => sum + length, 0);
      expect(heldBytes).toBeLessThanOrEqual(Math.max(megabyte / 2, 2 * size));
    }
    expect(asked).toEqual([0.5, 1, 2, 4, 8].map((share) => share * megabyte));
  });
});
