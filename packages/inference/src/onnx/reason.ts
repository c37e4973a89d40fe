/** Texts of ONNX Runtime made fit for a caller: one line, bounded, without paths of this host. */

const reasonCharsMax = 300;
/** An absolute path of two parts or more; names in quotes (graph nodes look like paths) stay. */
const pathPattern = /(^|[\s(=:])\/[\w.@+-]+(?:\/[\w.@+-]+)+/gu;

export function plainReason(cause: unknown): string {
  const text = cause instanceof Error ? cause.message : String(cause);
  const line = text.replaceAll(/\s+/gu, ' ').trim().replaceAll(pathPattern, '$1(path)');
  return line.length > reasonCharsMax ? `${line.slice(0, reasonCharsMax)}...` : line;
}
