/**
 * Fetches one file. What has arrived stays in a folder of its own when the connection, or this process, breaks,
 * and the next try goes on from there as long as the source still has the same file. Nothing is handed over
 * before its size and digest are right.
 */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdir, open, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { type Clock, err, ok, type Result, sleep } from '@inferry/runtime';
import type { ByteSource, OpenedBytes } from './byte-source.ts';
import { lockFile } from './lock-file.ts';

export interface PartToFetch {
  readonly source: ByteSource;
  /** Lower case hex; null: not checked. */
  readonly sha256: string | null;
  /** Where unfinished files lie; made when it is not there. */
  readonly folder: string;
  readonly bytesMax: number;
}

export interface Download extends PartToFetch {
  /** Where the whole file goes, on the same file system. */
  readonly into: string;
}

/** A whole file that still lies among the unfinished ones, where another process finds it when this one ends. */
export interface FetchedPart {
  readonly file: string;
  readonly sha256: string;
  readonly bytes: number;
  /** Moves it, on the same file system; the folder it goes into is made. */
  readonly take: (into: string) => Promise<void>;
  readonly discard: () => Promise<void>;
}

export interface DownloadDeps {
  readonly clock: Clock;
  readonly complain: (text: string) => void;
  readonly progress: (text: string) => void;
}

/** Tries in a row that bring nothing new, and tries in all: a server may send a byte each time. */
const vainTriesMax = 5;
const triesMax = 50;
const pauseMsMax = 8_000;
const mib = 1024 ** 2;

/** What is known of the file whose beginning is there. */
type Known = Pick<OpenedBytes, 'totalBytes' | 'validator'>;

interface Partial {
  readonly file: string;
  readonly aboutFile: string;
}

/** How one try ended. */
type Tried =
  | { readonly end: 'whole' }
  | { readonly end: 'changed' | 'again' | 'refused'; readonly why: string };

/** The error says what the source did, or why the file is not the one that was wanted. */
export async function download(
  wanted: Download,
  deps: DownloadDeps,
): Promise<Result<Pick<FetchedPart, 'bytes' | 'sha256'>, string>> {
  const lock = await lockDownload(wanted.folder, wanted.source.id);
  if (!lock.ok) return lock;
  try {
    const part = await fetchPart(wanted, deps);
    if (!part.ok) return part;
    await part.value.take(wanted.into);
    return part;
  } finally {
    await lock.value();
  }
}

/** Whoever fetches something has it alone; the value lets others have it again. */
export async function lockDownload(
  folder: string,
  id: string,
): Promise<Result<() => Promise<void>, string>> {
  await mkdir(folder, { recursive: true });
  return lockFile(join(folder, `${keyOf(id)}.lock`), 'is fetching the same URL');
}

/** As {@link download}, for who has the lock; the file is not moved yet. */
export async function fetchPart(
  wanted: PartToFetch,
  deps: DownloadDeps,
): Promise<Result<FetchedPart, string>> {
  const { folder, source } = wanted;
  await mkdir(folder, { recursive: true });
  const key = keyOf(source.id);
  const partial = { file: join(folder, `${key}.partial`), aboutFile: join(folder, `${key}.json`) };
  try {
    const fetched = await fetchWhole(wanted, partial, deps);
    if (!fetched.ok) return fetched;
    const sha256 = await sha256Of(partial.file);
    if (wanted.sha256 !== null && sha256 !== wanted.sha256) {
      await discard(partial);
      return err(
        `${source.shown}: the SHA-256 is ${sha256}, not the ${wanted.sha256} that was asked for; nothing is kept`,
      );
    }
    return ok({
      file: partial.file,
      sha256,
      bytes: await sizeOf(partial.file),
      take: async (into) => {
        await mkdir(dirname(into), { recursive: true });
        await refuseThere(into);
        await rename(partial.file, into);
        await discard(partial);
      },
      discard: () => discard(partial),
    });
  } finally {
    deps.progress('');
  }
}

/** Names that differ in case alone are one name on some file systems. */
async function refuseThere(path: string): Promise<void> {
  const found = await stat(path).catch(() => undefined);
  if (found === undefined) return;
  const message = `EEXIST: ${path} is the name of another file already, upper and lower case aside`;
  throw Object.assign(new Error(message), { code: 'EEXIST', syscall: 'rename' });
}

/** Lower case hex. */
export async function sha256Of(file: string): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(file, { highWaterMark: 1024 * 1024 })) {
    hash.update(chunk as Uint8Array);
  }
  return hash.digest('hex');
}

async function fetchWhole(
  wanted: PartToFetch,
  partial: Partial,
  deps: DownloadDeps,
): Promise<Result<void, string>> {
  const { shown } = wanted.source;
  let most = await sizeOf(partial.file);
  let vainTries = 0;
  for (let tries = 1; ; tries += 1) {
    const tried = await tryOnce(wanted, partial, deps);
    if (tried.end === 'whole') return ok(undefined);
    if (tried.end === 'refused') return err(`${shown}: ${tried.why}`);
    if (tried.end === 'changed') await discard(partial);
    const bytes = await sizeOf(partial.file);
    vainTries = bytes > most ? 0 : vainTries + 1;
    most = Math.max(most, bytes);
    if (vainTries >= vainTriesMax || tries >= triesMax) {
      const kept = bytes > 0 ? `; ${bytes} bytes are kept, the same command goes on` : '';
      return err(`${shown}: ${tried.why}, ${tries} times tried${kept}`);
    }
    deps.complain(`inferry: ${tried.why} after ${bytes} bytes; trying again\n`);
    await sleep(deps.clock, Math.min(pauseMsMax, 250 * 2 ** vainTries));
  }
}

async function tryOnce(wanted: PartToFetch, partial: Partial, deps: DownloadDeps): Promise<Tried> {
  const { source } = wanted;
  const have = await sizeOf(partial.file);
  const known = await readKnown(partial.aboutFile);
  if (have > 0 && known.totalBytes === have) return { end: 'whole' };
  const from = known.validator === null ? 0 : have;
  const opened = await source.open(from, from > 0 ? known.validator : null);
  if (!opened.ok) return opened.error;
  const bytes = opened.value;
  const isOther =
    bytes.from > 0 && known.totalBytes !== null && bytes.totalBytes !== known.totalBytes;
  if (isOther) {
    bytes.close();
    return { end: 'changed', why: 'the server has another file now' };
  }
  try {
    return await receive(bytes, wanted, partial, deps);
  } catch (cause) {
    const tried = source.problemOf(cause);
    if (tried === undefined) throw cause;
    return tried;
  }
}

async function receive(
  opened: OpenedBytes,
  { bytesMax, source }: PartToFetch,
  partial: Partial,
  deps: DownloadDeps,
): Promise<Tried> {
  const { from, totalBytes, validator } = opened;
  const tooLarge: Tried = { end: 'refused', why: `is larger than ${bytesMax} bytes (--max-gib)` };
  if (totalBytes !== null && totalBytes > bytesMax) {
    opened.close();
    await discard(partial);
    return tooLarge;
  }
  const file = await open(partial.file, from === 0 ? 'w' : 'a');
  try {
    if (from === 0) {
      await writeFile(partial.aboutFile, JSON.stringify({ validator, totalBytes }));
    }
    let bytes = from;
    for await (const chunk of opened.bytes) {
      bytes += chunk.length;
      if (bytes > bytesMax) {
        await discard(partial);
        return tooLarge;
      }
      await file.appendFile(chunk);
      if (Math.floor(bytes / mib) === Math.floor((bytes - chunk.length) / mib)) continue;
      deps.progress(`${source.shown}: ${bytes} of ${totalBytes ?? 'unknown'} bytes`);
    }
    const isWhole = totalBytes === null || bytes === totalBytes;
    return isWhole ? { end: 'whole' } : { end: 'again', why: 'the connection ended early' };
  } finally {
    await file.close();
  }
}

function keyOf(id: string): string {
  return createHash('sha256').update(id).digest('hex').slice(0, 32);
}

async function readKnown(aboutFile: string): Promise<Known> {
  const nothing = { validator: null, totalBytes: null };
  try {
    const { validator, totalBytes } = JSON.parse(await readFile(aboutFile, 'utf8')) as Known;
    return { validator: validator ?? null, totalBytes: totalBytes ?? null };
  } catch {
    // None, or cut off while it was written: the file is fetched from its beginning.
    return nothing;
  }
}

async function discard({ file, aboutFile }: Partial): Promise<void> {
  await rm(file, { force: true });
  await rm(aboutFile, { force: true });
}

async function sizeOf(file: string): Promise<number> {
  return (await stat(file).catch(() => undefined))?.size ?? 0;
}
