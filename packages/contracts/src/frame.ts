/**
 * The binary frame of everything larger than a field that crosses a process boundary: a JSON header
 * and raw blobs behind it, so that compressed images and tensors are never turned into text.
 *
 *     uint32 LE   length of the header in bytes
 *     header      JSON, UTF-8: { "h": <header>, "b": [<length of blob 0>, ...] }
 *     blobs       one after the other, no padding
 */
import { invariant } from '@inferry/runtime';

const decoder = new TextDecoder('utf-8', { fatal: true });
const encoder = new TextEncoder();

export interface Frame<Header> {
  readonly header: Header;
  readonly blobs: readonly Uint8Array[];
}

/** A copy of all that is given, as one piece. */
export function encodeFrame(header: unknown, blobs: readonly Uint8Array[]): Uint8Array {
  return joinPieces(framePieces(header, blobs));
}

/** The same frame in pieces that follow each other: its head, then the blobs themselves. */
export function framePieces(
  header: unknown,
  blobs: readonly Uint8Array[],
): readonly [Uint8Array, ...Uint8Array[]] {
  const text = JSON.stringify({ h: header, b: blobs.map((blob) => blob.length) });
  const head = encoder.encode(text);
  const first = new Uint8Array(4 + head.length);
  new DataView(first.buffer).setUint32(0, head.length, true);
  first.set(head, 4);
  return [first, ...blobs];
}

/** Pieces as one, which is new. */
export function joinPieces(pieces: readonly Uint8Array[]): Uint8Array {
  const joined = new Uint8Array(pieces.reduce((size, piece) => size + piece.length, 0));
  let offset = 0;
  for (const piece of pieces) {
    joined.set(piece, offset);
    offset += piece.length;
  }
  return joined;
}

/**
 * Blobs are views into `frame`, not copies. The header's type is the caller's claim: frames are
 * written by this code only, and versioned by the envelope that refers to them.
 */
export function decodeFrame<Header>(frame: Uint8Array): Frame<Header> {
  invariant(frame.length >= 4, 'a frame holds the length of its header');
  const view = new DataView(frame.buffer, frame.byteOffset, frame.byteLength);
  const headEnd = 4 + view.getUint32(0, true);
  invariant(headEnd <= frame.length, 'a frame holds its header');
  const head = JSON.parse(decoder.decode(frame.subarray(4, headEnd))) as {
    readonly h: Header;
    readonly b: readonly number[];
  };
  const blobs: Uint8Array[] = [];
  let offset = headEnd;
  for (const length of head.b) {
    blobs.push(frame.subarray(offset, offset + length));
    offset += length;
  }
  invariant(offset === frame.length, 'the blobs of a frame fill it exactly');
  return { header: head.h, blobs };
}
