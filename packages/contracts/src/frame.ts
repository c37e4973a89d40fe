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

export function encodeFrame(header: unknown, blobs: readonly Uint8Array[]): Uint8Array {
  const head = encoder.encode(JSON.stringify({ h: header, b: blobs.map((blob) => blob.length) }));
  let size = 4 + head.length;
  for (const blob of blobs) size += blob.length;
  const frame = new Uint8Array(size);
  new DataView(frame.buffer).setUint32(0, head.length, true);
  frame.set(head, 4);
  let offset = 4 + head.length;
  for (const blob of blobs) {
    frame.set(blob, offset);
    offset += blob.length;
  }
  return frame;
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
