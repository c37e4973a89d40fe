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

export interface Download {
  readonly source: ByteSource;
  /** Lower case hex; null: not checked. */
  readonly sha256: string | null;
  /** Where unfinished files lie; made when it is not there. */
  readonly folder: string;
  /** Where the whole file goes, on the same file system; its folder is made. */
  readonly into: string;
  readonly bytesMax: number;
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
): Promise<Result<{ readonly sha256: string; readonly bytes: number }, string>> {
  const { source } = wanted;
  await mkdir(wanted.folder, { recursive: true });
  const key = createHash('sha256').update(source.id).digest('hex').slice(0, 32);
  const partial = {
    file: join(wanted.folder, `${key}.partial`),
    aboutFile: join(wanted.folder, `${key}.json`),
  };
  const lock = await lockFile(join(wanted.folder, `${key}.lock`), 'is fetching the same URL');
  if (!lock.ok) return lock;
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
    const bytes = await sizeOf(partial.file);
    await mkdir(dirname(wanted.into), { recursive: true });
    await rename(partial.file, wanted.into);
    await discard(partial);
    return ok({ sha256, bytes });
  } finally {
    deps.progress('');
    await lock.value();
  }
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
  wanted: Download,
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

async function tryOnce(wanted: Download, partial: Partial, deps: DownloadDeps): Promise<Tried> {
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
  { bytesMax, source }: Download,
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
