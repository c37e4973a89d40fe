/** Base64 (RFC 4648, section 4), checked: Node's own decoder skips characters it does not know. */

/** Memory with anything in it; all of it is written before it is read. */
export type Allocate = (bytes: number) => Uint8Array;

/** The bytes of base64 text; undefined when it is not base64. */
export type DecodeBase64 = (text: string) => Uint8Array | undefined;

const alphabet = /^[A-Za-z0-9+/]*={0,2}$/u;
/** Characters decoded at a time, a multiple of four: strings of this size are collected where they are made. */
const sliceChars = 48 * 1024;
const padding = 0x3d;
const [minus, underscore] = [0x2d, 0x5f];

/** The bytes of standard base64 text, padded or not; undefined when it is not base64. */
export function decodeBase64(text: string): Uint8Array | undefined {
  if (!alphabet.test(text)) return undefined;
  const unpadded = text.replace(/=+$/u, '').length;
  if (unpadded % 4 === 1) return undefined;
  if (unpadded !== text.length && text.length % 4 !== 0) return undefined;
  const bytes = Buffer.from(text, 'base64');
  return new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/**
 * What {@link decodeBase64} makes of the ASCII text from `start` to `end` of a body, without a string of it, in
 * memory from `allocate`.
 */
export function bytesOfBase64(
  body: Buffer,
  { start, end }: { readonly start: number; readonly end: number },
  allocate: Allocate,
): Uint8Array | undefined {
  let last = end;
  while (last > start && end - last < 2 && body[last - 1] === padding) last -= 1;
  const chars = last - start;
  if (chars % 4 === 1 || (last !== end && (end - start) % 4 !== 0)) return undefined;
  const text = body.subarray(start, last);
  // The two characters of the URL's alphabet are known to the decoder, others it leaves out: then bytes are missing.
  if (text.includes(minus) || text.includes(underscore)) return undefined;
  const bytes = allocate(Math.floor((chars * 3) / 4));
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let written = 0;
  for (let at = 0; at < chars; at += sliceChars) {
    written += buffer.write(text.toString('latin1', at, at + sliceChars), written, 'base64');
  }
  return written === bytes.length ? bytes : undefined;
}
