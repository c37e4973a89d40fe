/** A file on a web server. Redirects are followed, and the rest of a file is asked for with If-Range. */
import { get as getOverHttp, type IncomingHttpHeaders, type IncomingMessage } from 'node:http';
import { get as getOverHttps } from 'node:https';
import { err, ok, type Result } from '@inferry/runtime';
import type { ByteSource, NotOpened, OpenedBytes } from './byte-source.ts';
import { shownUrl } from './options.ts';

export interface HttpSourceOptions {
  readonly url: URL;
  /** Whether a digest is checked in the end, so that a weak validator is enough. */
  readonly isChecked: boolean;
  /** Longest time without a byte, ms. */
  readonly idleMs: number;
}

const redirectsMax = 5;

export function httpSource({ idleMs, isChecked, url }: HttpSourceOptions): ByteSource {
  return {
    shown: shownUrl(url),
    id: url.href,
    open: async (from, validator) => {
      try {
        const rest =
          from > 0 && validator !== null ? { range: `bytes=${from}-`, 'if-range': validator } : {};
        const answer = await ask(url, rest, idleMs);
        return answer.ok ? opened(answer.value, from, isChecked) : answer;
      } catch (cause) {
        const problem = transportProblem(cause);
        if (problem === undefined) throw cause;
        return err(problem);
      }
    },
    problemOf: transportProblem,
  };
}

function refused(why: string): Result<never, NotOpened> {
  return err({ end: 'refused', why });
}

async function ask(
  url: URL,
  rest: Readonly<Record<string, string>>,
  idleMs: number,
): Promise<Result<IncomingMessage, NotOpened>> {
  const headers = { 'accept-encoding': 'identity', 'user-agent': 'inferry', ...rest };
  let at = url;
  for (let hops = 0; hops <= redirectsMax; hops += 1) {
    const answer = await send(at, headers, idleMs);
    if (![301, 302, 303, 307, 308].includes(answer.statusCode ?? 0)) return ok(answer);
    answer.destroy();
    const { location } = answer.headers;
    if (location === undefined || !URL.canParse(location, at.href)) {
      return refused('was redirected without a valid Location');
    }
    const next = new URL(location, at);
    const isSafe =
      next.protocol === 'https:' || (next.protocol === 'http:' && at.protocol === 'http:');
    if (!isSafe) return refused(`was redirected from ${at.protocol} to ${next.protocol}`);
    at = next;
  }
  return refused(`was redirected more than ${redirectsMax} times`);
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

function opened(
  answer: IncomingMessage,
  asked: number,
  isChecked: boolean,
): Result<OpenedBytes, NotOpened> {
  const { headers, statusCode = 0 } = answer;
  const leave = (notOpened: NotOpened): Result<never, NotOpened> => {
    answer.destroy();
    return err(notOpened);
  };
  const range = /^bytes (\d+)-\d+\/(\d+|\*)$/u.exec(headers['content-range'] ?? '');
  const isRest = asked > 0 && range !== null && Number(range[1]) === asked;
  if (statusCode === 416 || (statusCode === 206 && !isRest)) {
    return leave({ end: 'changed', why: 'the server has another file now' });
  }
  if (statusCode !== 200 && statusCode !== 206) {
    const isPassing = statusCode >= 500 || statusCode === 408 || statusCode === 429;
    return leave({ end: isPassing ? 'again' : 'refused', why: `answered ${statusCode}` });
  }
  if ((headers['content-encoding'] ?? 'identity') !== 'identity') {
    return leave({ end: 'refused', why: 'was sent with a Content-Encoding that nobody asked for' });
  }
  const from = statusCode === 206 ? asked : 0;
  const length = Number(headers['content-length'] ?? Number.NaN);
  const told = statusCode === 206 ? Number(range?.[2]) : Number.NaN;
  const total = Number.isSafeInteger(told) ? told : from + length;
  return ok({
    from,
    totalBytes: Number.isSafeInteger(total) ? total : null,
    validator: validatorOf(headers, isChecked),
    bytes: answer as AsyncIterable<Uint8Array>,
    close: () => answer.destroy(),
  });
}

/** A date stands for whole seconds, so that it is enough only where a digest is checked in the end. */
function validatorOf(headers: IncomingHttpHeaders, isChecked: boolean): string | null {
  const { etag } = headers;
  if (etag?.startsWith('"') === true) return etag;
  return isChecked ? (headers['last-modified'] ?? null) : null;
}

const passing =
  /^(?:ECONN.*|EPIPE|EAI_AGAIN|ETIMEDOUT|EHOSTUNREACH|ENETUNREACH|HPE_.*|ERR_SSL_.*)$/u;
const lasting = /^(?:ENOTFOUND|ERR_TLS_.*|CERT_.*|.*_CERT|.*_CERT_.*|UNABLE_TO_.*)$/u;

/** Undefined for an error that is not of the way to the server. */
function transportProblem(cause: unknown): NotOpened | undefined {
  if (!(cause instanceof Error) || !('code' in cause)) return undefined;
  const code = String(cause.code);
  const why = `${cause.message || 'no connection'} (${code})`;
  if (lasting.test(code)) return { end: 'refused', why };
  return passing.test(code) ? { end: 'again', why } : undefined;
}
