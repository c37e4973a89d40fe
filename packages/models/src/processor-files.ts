/** The files of a processor: the one that is run, and all that it may import, which its digest covers. */
import { readdir, stat } from 'node:fs/promises';
import { extname, join } from 'node:path';
import { err, ok, type Result } from '@inferry/runtime';
import { readable } from './version-files.ts';

export interface ProcessorFiles {
  /** As the directory of the repository was given. */
  readonly file: string;
  /** Sorted; `file` is one of them. */
  readonly sources: readonly string[];
}

const entryNames = ['processor.ts', 'processor.js', 'processor.mjs'];
const sourceExtensions = new Set(['.ts', '.mts', '.js', '.mjs', '.cjs', '.json']);
/** For all folders together: enough for any processor, and little enough to read. */
const sourcesMax = 1_000;
const depthMax = 8;
const bytesMax = 16 * 1024 * 1024;

/** `folder` is that of the model. The error says why it has no processor that can be told apart from another. */
export async function findProcessor(folder: string): Promise<Result<ProcessorFiles, string>> {
  const found = await readable(() => lookFor(folder));
  return found.ok ? found.value : found;
}

async function lookFor(folder: string): Promise<Result<ProcessorFiles, string>> {
  const entries = await readdir(folder);
  const [name, other] = entryNames.filter((entry) => entries.includes(entry));
  if (name === undefined) return err(`needs a file ${entryNames.join(', ')} beside model.yaml`);
  if (other !== undefined) return err(`${name} and ${other} are both there: keep one of them`);
  const found = { sources: [] as string[], bytes: 0 };
  await collect(folder, found, 0);
  if (found.sources.length > sourcesMax) {
    return err(`has more than ${sourcesMax} source files in its folder`);
  }
  if (found.bytes > bytesMax) {
    return err(`has ${found.bytes} bytes of source files; at most ${bytesMax} are allowed`);
  }
  return ok({ file: join(folder, name), sources: found.sources.toSorted() });
}

/** Hidden entries are passed over, and packages, whose versions a lock file pins. */
async function collect(
  folder: string,
  found: { readonly sources: string[]; bytes: number },
  depth: number,
): Promise<void> {
  for (const name of await readdir(folder)) {
    if (name.startsWith('.') || name === 'node_modules') continue;
    if (found.sources.length > sourcesMax) return;
    const path = join(folder, name);
    const entry = await stat(path);
    if (entry.isDirectory()) {
      if (depth < depthMax) await collect(path, found, depth + 1);
    } else if (entry.isFile() && sourceExtensions.has(extname(name))) {
      found.sources.push(path);
      found.bytes += entry.size;
    }
  }
}
