/** Base64, checked: Node's own decoder skips characters it does not know. */

const alphabet = /^[A-Za-z0-9+/]*={0,2}$/u;

/** The bytes of standard base64 text, padded or not; undefined when it is not base64. */
export function decodeBase64(text: string): Uint8Array | undefined {
  if (!alphabet.test(text)) return undefined;
  const unpadded = text.replace(/=+$/u, '').length;
  if (unpadded % 4 === 1) return undefined;
  if (unpadded !== text.length && text.length % 4 !== 0) return undefined;
  const bytes = Buffer.from(text, 'base64');
  return new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
