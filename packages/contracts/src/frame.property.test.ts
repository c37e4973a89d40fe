import { InvariantError } from '@inferry/runtime';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { decodeFrame, encodeFrame, framePieces, joinPieces } from './frame.ts';

const blobLists = fc.array(fc.uint8Array({ maxLength: 50 }), { maxLength: 6 });
/** What JSON can hold, read back from JSON so that -0 and the like are gone. */
const headers = fc.json().map((text) => JSON.parse(text) as unknown);

test('a frame gives back its header and its blobs', () => {
  fc.assert(
    fc.property(headers, blobLists, (header, blobs) => {
      const decoded = decodeFrame(encodeFrame(header, blobs));
      expect(decoded.header).toEqual(header);
      expect(decoded.blobs.map((blob) => [...blob])).toEqual(blobs.map((blob) => [...blob]));
    }),
  );
});

test('a frame is read where it lies: inside a larger buffer too, and its blobs are views', () => {
  fc.assert(
    fc.property(headers, blobLists, fc.nat(9), (header, blobs, offset) => {
      const frame = encodeFrame(header, blobs);
      const larger = new Uint8Array(offset + frame.length + 5).fill(255);
      larger.set(frame, offset);
      const decoded = decodeFrame(larger.subarray(offset, offset + frame.length));
      expect(decoded.header).toEqual(header);
      for (const [i, blob] of decoded.blobs.entries()) {
        expect([...blob]).toEqual([...(blobs[i] ?? [])]);
        expect(blob.buffer).toBe(larger.buffer);
      }
    }),
  );
});

test('encoding copies the blobs: changing them later does not change the frame', () => {
  const blob = Uint8Array.of(1, 2, 3);
  const frame = encodeFrame({}, [blob]);
  blob.fill(9);
  expect([...(decodeFrame(frame).blobs[0] ?? [])]).toEqual([1, 2, 3]);
});

test('a frame in pieces holds the blobs themselves, and joined it is the same', () => {
  fc.assert(
    fc.property(headers, blobLists, (header, blobs) => {
      const [, ...bodies] = framePieces(header, blobs);
      expect(bodies.every((body, i) => body === blobs[i])).toBe(true);
      expect(bodies).toHaveLength(blobs.length);
      expect(joinPieces(framePieces(header, blobs))).toEqual(encodeFrame(header, blobs));
    }),
  );
});

test('a frame cut short anywhere, or with bytes after it, is a broken invariant', () => {
  fc.assert(
    fc.property(headers, blobLists, fc.nat(), (header, blobs, at) => {
      const frame = encodeFrame(header, blobs);
      const cut = frame.subarray(0, at % frame.length);
      expect(() => decodeFrame(cut)).toThrow(InvariantError);
      expect(() => decodeFrame(Uint8Array.from([...frame, 0]))).toThrow(InvariantError);
    }),
  );
});
