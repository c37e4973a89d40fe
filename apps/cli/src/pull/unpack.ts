/** Fills a folder from an archive or another folder: regular files and folders only, within bounds. */
import { constants, createReadStream } from 'node:fs';
import { copyFile, mkdir, readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { err, ok, type Result } from '@inferry/runtime';
import { extract, list, type Parser, ReadEntry } from 'tar';

export interface Bounds {
  readonly bytesMax: number;
  readonly entriesMax: number;
  /** Folders in folders. */
  readonly depthMax: number;
}

const folderMode = 0o755;
const fileMode = 0o644;

/**
 * Unpacks a tar archive, gzip or not. It is read twice: first all of it is looked at, up to the first entry
 * that is refused, so that nothing of such an archive is ever written.
 */
export async function unpackTar(
  file: string,
  into: string,
  bounds: Bounds,
): Promise<Result<void, string>> {
  const tally = new Tally(bounds);
  let refusal: string | undefined;
  const looking = list({
    strict: true,
    onReadEntry: (entry) => {
      const bytes = entry.type === 'Directory' ? 0 : entry.size;
      refusal ??= pathProblem(entry.path) ?? typeProblem(entry) ?? tally.count(entry.path, bytes);
    },
  });
  const looked = await feed(looking, file, 'end', () => refusal);
  if (looked !== undefined) return err(looked);
  const unpacking = extract({
    cwd: into,
    strict: true,
    preserveOwner: false,
    noMtime: true,
    filter: (path, entry) => {
      // Resource forks, which archives made on macOS hold.
      if (/(?:^|\/)\._[^/]*$/u.test(path)) return false;
      // While extracting, entries come from the archive and never from the file system.
      if (!(entry instanceof ReadEntry)) return false;
      entry.mode = entry.type === 'Directory' ? folderMode : fileMode;
      return true;
    },
  });
  const unpacked = await feed(unpacking, file, 'close', () => undefined);
  return unpacked === undefined ? ok(undefined) : err(unpacked);
}

/** Hands the bytes of the archive over; the value says why it was not read to its end. */
async function feed(
  reader: Parser,
  file: string,
  lastEvent: 'end' | 'close',
  refusal: () => string | undefined,
): Promise<string | undefined> {
  const failed = new Promise<string>((resolve) => {
    reader.on('error', (cause: Error) => resolve(`is no sound archive: ${cause.message}`));
  });
  const ended = new Promise<undefined>(
    (resolve) => void reader.on(lastEvent, () => resolve(undefined)),
  );
  for await (const chunk of createReadStream(file, { highWaterMark: 1024 * 1024 })) {
    const isTaken = reader.write(chunk as Buffer);
    const refused = refusal();
    if (refused !== undefined) return refused;
    if (isTaken) continue;
    const drained = new Promise<undefined>(
      (resolve) => void reader.once('drain', () => resolve(undefined)),
    );
    const trouble = await Promise.race([failed, drained]);
    if (trouble !== undefined) return refusal() ?? trouble;
  }
  reader.end();
  const trouble = await Promise.race([failed, ended]);
  return refusal() ?? trouble;
}

/** Copies a folder. Links are followed, as they are when it is served; hidden entries stay behind. */
export async function copyFolder(
  from: string,
  into: string,
  bounds: Bounds,
): Promise<Result<void, string>> {
  const tally = new Tally(bounds);
  const copy = async (path: string): Promise<string | undefined> => {
    await mkdir(join(into, path), { recursive: true });
    for (const name of await readdir(join(from, path))) {
      if (name.startsWith('.')) continue;
      const inner = join(path, name);
      const found = await stat(join(from, inner));
      if (!found.isFile() && !found.isDirectory()) return `${inner} is no regular file`;
      const problem = tally.count(inner, found.isFile() ? found.size : 0);
      if (problem !== undefined) return problem;
      if (found.isDirectory()) {
        const below = await copy(inner);
        if (below !== undefined) return below;
      } else {
        await copyFile(join(from, inner), join(into, inner), constants.COPYFILE_FICLONE);
      }
    }
    return undefined;
  };
  const problem = await copy('');
  return problem === undefined ? ok(undefined) : err(problem);
}

class Tally {
  readonly #bounds: Bounds;
  #bytes = 0;
  #entries = 0;

  constructor(bounds: Bounds) {
    this.#bounds = bounds;
  }

  /** What is too much with this entry; undefined while nothing is. */
  count(path: string, bytes: number): string | undefined {
    const { bytesMax, depthMax, entriesMax } = this.#bounds;
    this.#bytes += bytes;
    this.#entries += 1;
    if (this.#entries > entriesMax) return `holds more than ${entriesMax} entries`;
    if (this.#bytes > bytesMax) return `holds more than ${bytesMax} bytes (--max-gib)`;
    const depth = path.split('/').filter((part) => part !== '' && part !== '.').length;
    return depth > depthMax ? `${path} lies deeper than ${depthMax} folders` : undefined;
  }
}

function pathProblem(path: string): string | undefined {
  const shown = JSON.stringify(path.slice(0, 200));
  if (path.startsWith('/') || /^[a-z]:/iu.test(path)) return `the path ${shown} is absolute`;
  if (path.split('/').includes('..')) return `the path ${shown} leads out of the archive`;
  return /[\\\p{Cc}]/u.test(path) ? `the path ${shown} is not taken` : undefined;
}

function typeProblem({ path, type }: ReadEntry): string | undefined {
  const isTaken = ['File', 'OldFile', 'ContiguousFile', 'Directory'].includes(type);
  return isTaken ? undefined : `${path} is a ${type}: only files and folders are taken`;
}
