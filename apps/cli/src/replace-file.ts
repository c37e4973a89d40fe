/** A file gets a new text at once: whoever reads it finds the one or the other, also after a power cut. */
import { open, realpath, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';

/** Makes the file where it is not there; a link stays one, and what it leads to is replaced. Rejects as the file system does; then the file is what it was. */
export async function replaceFile(path: string, text: string): Promise<void> {
  const file = await realpath(path).catch(() => path);
  const aside = join(dirname(file), `.${basename(file)}.${process.pid}`);
  try {
    const handle = await open(aside, 'w');
    try {
      await handle.writeFile(text);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(aside, file);
  } catch (cause) {
    await rm(aside, { force: true });
    throw cause;
  }
}
