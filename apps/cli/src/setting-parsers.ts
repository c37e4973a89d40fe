/** What settings accept: each parser gives the value of a text, or says what would have been accepted. */
import { isIP } from 'node:net';
import { isModelName } from '@inferry/contracts';
import { err, ok, type Result } from '@inferry/runtime';
import { isS3, parseS3Location } from './sources/s3-location.ts';

/** The one device of a process. A GPU runs the cuda and the tensorrt instances of models. */
interface DeviceChoice {
  readonly kind: 'cpu' | 'cuda';
  readonly index: number;
}

export function integer(min: number, max: number): (text: string) => Result<number, string> {
  return (text) => {
    const value = /^\d{1,15}$/u.test(text) ? Number(text) : Number.NaN;
    return value >= min && value <= max
      ? ok(value)
      : err(`must be a whole number ${min} to ${max}`);
  };
}

/** A TCP port, 0 for a free one, or none. */
export function portOrOff(text: string): Result<number | 'off', string> {
  if (text === 'off') return ok('off');
  const port = integer(0, 65_535)(text);
  return port.ok ? port : err(`${port.error}, or off`);
}

export function matching(
  pattern: RegExp,
  wanted: string,
): (text: string) => Result<string, string> {
  return (text) => (pattern.test(text) ? ok(text) : err(`must be ${wanted}`));
}

export function oneOf<const Word extends string>(
  words: readonly Word[],
): (text: string) => Result<Word, string> {
  return (text) => {
    const word = words.find((candidate) => candidate === text);
    return word === undefined ? err(`must be one of ${words.join(', ')}`) : ok(word);
  };
}

export function zeroOrOne(text: string): Result<boolean, string> {
  return text === '0' || text === '1' ? ok(text === '1') : err('must be 0 or 1');
}

/** A host name or an IP address, without port or brackets. */
export function hostAddress(text: string): Result<string, string> {
  const isHost = isIP(text) !== 0 || /^[A-Za-z0-9._-]{1,253}$/u.test(text);
  return isHost ? ok(text) : err('must be a host name or an IP address, without a port');
}

/** Nothing beyond this machine reaches what listens there. */
export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || (isIP(host) === 4 && host.startsWith('127.'));
}

export function redisUrl(text: string): Result<string, string> {
  const wanted =
    'must look like redis://[user:password@]host:port[/database] (or rediss://), or unix:///path/to/redis.sock[?db=0&username=...&password=...], with special characters percent-encoded';
  if (!URL.canParse(text) || !isPercentEncoded(text)) return err(wanted);
  const url = new URL(text);
  if (url.protocol === 'unix:') {
    const database = url.searchParams.get('db') ?? '0';
    const isPath = url.host === '' && url.pathname.length > 1 && !url.pathname.endsWith('/');
    return isPath && /^\d{1,6}$/u.test(database) ? ok(text) : err(wanted);
  }
  const isRedis = url.protocol === 'redis:' || url.protocol === 'rediss:';
  const isAddress = url.hostname !== '' && /^(?:\/\d{0,6})?$/u.test(url.pathname);
  // Nothing is read from a query; it is the rest of a password more often than not.
  const isAll = url.search === '' && url.hash === '';
  return isRedis && isAddress && isAll ? ok(text) : err(wanted);
}

function isPercentEncoded(text: string): boolean {
  try {
    decodeURIComponent(text);
    return true;
  } catch {
    return false;
  }
}

export function baseUrl(text: string): Result<string, string> {
  const wanted = 'must be an http:// or https:// address without a query';
  if (!URL.canParse(text)) return err(wanted);
  const url = new URL(text);
  if (!/^https?:$/u.test(url.protocol) || url.search !== '' || url.hash !== '') return err(wanted);
  return ok(text.replace(/\/+$/u, ''));
}

/** A directory, or a folder in S3. */
export function modelRepository(text: string): Result<string, string> {
  const location = isS3(text) ? parseS3Location(text) : ok(text);
  if (!location.ok) return location;
  return text === '' ? err('must be a directory or s3://bucket/folder') : ok(text);
}

export function modelNames(text: string): Result<readonly string[], string> {
  const names = text.split(',').map((name) => name.trim());
  const wrong = names.find((name) => !isModelName(name));
  return wrong === undefined
    ? ok([...new Set(names)])
    : err(`must be model names with commas between them; "${wrong}" is not a model name`);
}

export function device(text: string): Result<DeviceChoice, string> {
  if (text === 'cpu') return ok({ kind: 'cpu', index: 0 });
  const index = /^(?:cuda|tensorrt):(?<index>\d{1,3})$/u.exec(text)?.groups?.['index'];
  if (index === undefined) return err('must be cpu, cuda:N or tensorrt:N, N counting from 0');
  return ok({ kind: 'cuda', index: Number(index) });
}
