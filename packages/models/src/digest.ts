/** The digest that tells whether two hosts serve the same model. */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';

/**
 * sha256 in hex of the files, in order. Each one's length follows its bytes, so that no other
 * division of the same bytes gives the same digest. Files are streamed, never held whole.
 */
export async function digestOf(files: readonly string[]): Promise<string> {
  const hash = createHash('sha256');
  for (const file of files) {
    let length = 0;
    for await (const chunk of createReadStream(file, { highWaterMark: 1024 * 1024 })) {
      const bytes = chunk as Uint8Array;
      hash.update(bytes);
      length += bytes.length;
    }
    hash.update(`\n${length}\n`);
  }
  return hash.digest('hex');
}
