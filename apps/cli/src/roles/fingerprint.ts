/** What a model repository looks like from outside, so that a change of it is seen without reading it. */
import { createHash } from 'node:crypto';
import type { BigIntStats } from 'node:fs';
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { fileErrorText } from '@inferry/models';

/** Files and folders; looking at so many takes a part of a second. */
export const entriesMaxDefault = 10_000;
/** Models, versions, and weights or a `warmup` folder below. */
const depthMax = 6;

/**
 * A digest of path, size, times of change and inode of every file below `directory`; of the folders `only` where
 * it names some. Links are followed, hidden entries left out, as by whoever reads the models. Null when there
 * are more entries than `entriesMax`. A directory that cannot be read has a fingerprint as well.
 */
export async function fingerprintOf(
  directory: string,
  only: readonly string[] | null,
  entriesMax = entriesMaxDefault,
): Promise<string | null> {
  const hash = createHash('sha256');
  let entries = 0;
  const walk = async (folder: string, depth: number): Promise<boolean> => {
    const names = await whatIsSeen(readdir(folder));
    if (typeof names === 'string') hash.update(`${folder} ${names}\n`);
    else {
      for (const name of names.toSorted()) {
        const isLeftOut = depth === 1 && only !== null && !only.includes(name);
        if (name.startsWith('.') || isLeftOut) continue;
        entries += 1;
        if (entries > entriesMax) return false;
        const path = join(folder, name);
        const seen = await whatIsSeen(stat(path, { bigint: true }));
        hash.update(`${JSON.stringify(path)} ${typeof seen === 'string' ? seen : told(seen)}\n`);
        const isFolder = typeof seen !== 'string' && seen.isDirectory();
        if (isFolder && depth < depthMax && !(await walk(path, depth + 1))) return false;
      }
    }
    return true;
  };
  return (await walk(directory, 1)) ? hash.digest('hex') : null;
}

/**
 * Of a folder only that it is there: its own time changes with hidden entries too. Of a file also the time of change
 * that nobody can set: archives give every build the same one, and its inode may be that of the file before it.
 */
function told(seen: BigIntStats): string {
  if (seen.isDirectory()) return 'folder';
  return [seen.size, seen.mtimeNs, seen.ctimeNs, seen.dev, seen.ino].map(String).join(' ');
}

/** Or what the operating system said: files come and go under a look. */
async function whatIsSeen<T>(looking: Promise<T>): Promise<T | string> {
  try {
    return await looking;
  } catch (cause) {
    const reason = fileErrorText(cause);
    if (reason === undefined) throw cause;
    return reason;
  }
}
