/** One line of a terminal that says what is being done, written over and over. */
import type { WriteStream } from 'node:tty';

/** Shows a text instead of the last one, an empty one takes it away; nothing where nobody watches. */
export function progressLine(
  stream: Pick<WriteStream, 'columns' | 'isTTY' | 'write'>,
): (text: string) => void {
  if (!stream.isTTY) return () => undefined;
  // Back to the start of the line, and all behind it away.
  return (text) => void stream.write(`\r\u001B[K${text.slice(0, stream.columns - 1)}`);
}
