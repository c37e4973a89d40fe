/**
 * Fetches one file over HTTP. What has arrived stays in a folder of its own when the connection, or this
 * process, breaks, and the next try goes on from there as long as the server still has the same file.
 * Nothing is handed over before its size and digest are right.
 */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdir, open, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { get as getOverHttp, type IncomingHttpHeaders, type IncomingMessage } from 'node:http';
import { get as getOverHttps } from 'node:https';
import { join } from 'node:path';
import { type Clock, err, ok, type Result, sleep } from '@inferry/runtime';
import { shownUrl } from './options.ts';
import { lockFile } from './lock-file.ts';

export interface Download {
  readonly url: URL;
  /** Lower case hex; null: not checked. */
  readonly sha256: string | null;
  /** Where unfinished files lie; made when it is not there. */
  readonly folder: string;
  /** Where the whole file goes, on the same file system. */
  readonly into: string;
  readonly bytesMax: number;
  /** Longest time without a byte, ms. */
  readonly idleMs: number;
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
const redirectsMax = 5;
const mib = 1024 ** 2;

/** What is known of the file whose beginning is there. */
interface Known {
  /** For If-Range; null: its rest cannot be asked for safely. */
  readonly validator: string | null;
  readonly totalBytes: number | null;
}

interface Partial {
  readonly file: string;
  readonly aboutFile: string;
}

/** How one try ended. */
type Tried =
  | { readonly end: 'whole' }
  | { readonly end: 'again'; readonly why: string }
  | { readonly end: 'refused'; readonly why: string };

/** The error says what the server did, or why the file is not the one that was wanted. */
export async function download(
  wanted: Download,
  deps: DownloadDeps,
): Promise<Result<{ readonly sha256: string; readonly bytes: number }, string>> {
  await mkdir(wanted.folder, { recursive: true });
  const key = createHash('sha256').update(wanted.url.href).digest('hex').slice(0, 32);
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
        `${shownUrl(wanted.url)}: the SHA-256 is ${sha256}, not the ${wanted.sha256} that was asked for; nothing is kept`,
      );
    }
    const bytes = await sizeOf(partial.file);
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
  let most = await sizeOf(partial.file);
  let vainTries = 0;
  for (let tries = 1; ; tries += 1) {
    const tried = await tryOnce(wanted, partial, deps);
    if (tried.end === 'whole') return ok(undefined);
    if (tried.end === 'refused') return err(`${shownUrl(wanted.url)}: ${tried.why}`);
    const bytes = await sizeOf(partial.file);
    vainTries = bytes > most ? 0 : vainTries + 1;
    most = Math.max(most, bytes);
    if (vainTries >= vainTriesMax || tries >= triesMax) {
      const kept = bytes > 0 ? `; ${bytes} bytes are kept, the same command goes on` : '';
      return err(`${shownUrl(wanted.url)}: ${tried.why}, ${tries} times tried${kept}`);
    }
    deps.complain(`inferry: ${tried.why} after ${bytes} bytes; trying again\n`);
    await sleep(deps.clock, Math.min(pauseMsMax, 250 * 2 ** vainTries));
  }
}

async function tryOnce(wanted: Download, partial: Partial, deps: DownloadDeps): Promise<Tried> {
  const have = await sizeOf(partial.file);
  const known = await readKnown(partial.aboutFile);
  if (have > 0 && known.totalBytes === have) return { end: 'whole' };
  const from = known.validator === null ? 0 : have;
  try {
    const answer = await ask(wanted, from, known.validator);
    if (!answer.ok) return answer.error;
    return await receive(answer.value, { wanted, partial, known, from }, deps);
  } catch (cause) {
    const tried = transportProblem(cause);
    if (tried === undefined) throw cause;
    return tried;
  }
}

/** Follows redirects; the error is how the try ended. */
async function ask(
  { idleMs, url }: Download,
  from: number,
  validator: string | null,
): Promise<Result<IncomingMessage, Tried>> {
  const rest =
    from > 0 && validator !== null ? { range: `bytes=${from}-`, 'if-range': validator } : {};
  const headers = { 'accept-encoding': 'identity', 'user-agent': 'inferry', ...rest };
  let at = url;
  for (let hops = 0; hops <= redirectsMax; hops += 1) {
    const answer = await send(at, headers, idleMs);
    if (![301, 302, 303, 307, 308].includes(answer.statusCode ?? 0)) return ok(answer);
    answer.destroy();
    const { location } = answer.headers;
    if (location === undefined || !URL.canParse(location, at.href)) {
      return err({ end: 'refused', why: 'was redirected without a valid Location' });
    }
    const next = new URL(location, at);
    const isSafe =
      next.protocol === 'https:' || (next.protocol === 'http:' && at.protocol === 'http:');
    if (!isSafe) {
      return err({ end: 'refused', why: `was redirected from ${at.protocol} to ${next.protocol}` });
    }
    at = next;
  }
  return err({ end: 'refused', why: `was redirected more than ${redirectsMax} times` });
}

/**
 * With Node's own client: undici's (7.30) ends the process where a server closes its side while the
 * response waits for the disk. Rejects where there is no answer.
 */
function send(
  url: URL,
  headers: Readonly<Record<string, string>>,
  idleMs: number,
): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const get = url.protocol === 'https:' ? getOverHttps : getOverHttp;
    let answer: IncomingMessage | undefined;
    const sent = get(url, { agent: false, headers, timeout: idleMs }, (response) => {
      answer = response;
      // One that comes before the body is read, or after it is left, is no bug; reading tells it again.
      response.on('error', () => undefined);
      resolve(response);
    });
    sent.on('error', reject);
    sent.on('timeout', () => {
      const silence = new Error(`no byte for ${idleMs} ms`);
      const cause = Object.assign(silence, { code: 'ETIMEDOUT' });
      answer?.destroy(cause);
      sent.destroy(cause);
    });
  });
}

interface Receiving {
  readonly wanted: Download;
  readonly partial: Partial;
  readonly known: Known;
  /** Bytes that are there already and were not asked for. */
  readonly from: number;
}

async function receive(
  answer: IncomingMessage,
  { wanted, partial, known, from }: Receiving,
  deps: DownloadDeps,
): Promise<Tried> {
  const { headers, statusCode = 0 } = answer;
  const leave = (tried: Tried): Tried => {
    answer.destroy();
    return tried;
  };
  if (statusCode === 416 || (statusCode === 206 && !fits(headers['content-range'], from, known))) {
    await discard(partial);
    return leave({ end: 'again', why: 'the server has another file now' });
  }
  if (statusCode !== 200 && statusCode !== 206) {
    const isPassing = statusCode >= 500 || statusCode === 408 || statusCode === 429;
    return leave({ end: isPassing ? 'again' : 'refused', why: `answered ${statusCode}` });
  }
  if ((headers['content-encoding'] ?? 'identity') !== 'identity') {
    return leave({ end: 'refused', why: 'was sent with a Content-Encoding that nobody asked for' });
  }
  const start = statusCode === 206 ? from : 0;
  const length = Number(headers['content-length'] ?? Number.NaN);
  const totalBytes = Number.isSafeInteger(length) ? start + length : null;
  const tooLarge = `is larger than ${wanted.bytesMax} bytes (--max-gib)`;
  if (totalBytes !== null && totalBytes > wanted.bytesMax) {
    await discard(partial);
    return leave({ end: 'refused', why: tooLarge });
  }
  const file = await open(partial.file, start === 0 ? 'w' : 'a');
  try {
    if (start === 0) {
      const validator = validatorOf(headers, wanted.sha256 !== null);
      await writeFile(partial.aboutFile, JSON.stringify({ validator, totalBytes }));
    }
    let bytes = start;
    for await (const chunk of answer as AsyncIterable<Uint8Array>) {
      bytes += chunk.length;
      if (bytes > wanted.bytesMax) {
        await discard(partial);
        return { end: 'refused', why: tooLarge };
      }
      await file.appendFile(chunk);
      if (Math.floor(bytes / mib) === Math.floor((bytes - chunk.length) / mib)) continue;
      deps.progress(`${shownUrl(wanted.url)}: ${bytes} of ${totalBytes ?? 'unknown'} bytes`);
    }
    const isWhole = totalBytes === null || bytes === totalBytes;
    return isWhole ? { end: 'whole' } : { end: 'again', why: 'the connection ended early' };
  } finally {
    await file.close();
  }
}

/** Whether a 206 is the rest of what is there. */
function fits(range: string | undefined, from: number, known: Known): boolean {
  const match = /^bytes (\d+)-\d+\/(\d+|\*)$/u.exec(range ?? '');
  if (match === null || from === 0 || Number(match[1]) !== from) return false;
  return known.totalBytes === null || match[2] === '*' || Number(match[2]) === known.totalBytes;
}

/** A date stands for whole seconds, so that it is enough only where a digest is checked in the end. */
function validatorOf(headers: IncomingHttpHeaders, isChecked: boolean): string | null {
  const { etag } = headers;
  if (etag?.startsWith('"') === true) return etag;
  return isChecked ? (headers['last-modified'] ?? null) : null;
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

const passing =
  /^(?:ECONN.*|EPIPE|EAI_AGAIN|ETIMEDOUT|EHOSTUNREACH|ENETUNREACH|HPE_.*|ERR_SSL_.*)$/u;
const lasting = /^(?:ENOTFOUND|ERR_TLS_.*|CERT_.*|.*_CERT|.*_CERT_.*|UNABLE_TO_.*)$/u;

/** Undefined for an error that is not of the way to the server. */
function transportProblem(cause: unknown): Tried | undefined {
  if (!(cause instanceof Error) || !('code' in cause)) return undefined;
  const code = String(cause.code);
  const why = `${cause.message || 'no connection'} (${code})`;
  if (lasting.test(code)) return { end: 'refused', why };
  return passing.test(code) ? { end: 'again', why } : undefined;
}
