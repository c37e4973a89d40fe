/** What `inferry bench` was asked to do, read from its flags; every problem is told, not the first alone. */
import { err, ok, type Result } from '@inferry/runtime';
import type { Invocation } from '../arguments.ts';
import { parseModelReference } from '../model-reference.ts';
import { time } from '../time-text.ts';
import { type Level, parseLevels } from './levels.ts';

export interface BenchOptions {
  readonly model: string;
  /** Null for the one that the server takes by default. */
  readonly version: string | null;
  readonly origin: string;
  /** Path below which the server lives, without a slash at its end: empty for most. */
  readonly basePath: string;
  readonly api: 'jobs' | 'v2';
  readonly levels: readonly Level[];
  readonly arrivals: 'poisson' | 'constant';
  readonly inFlightMax: number;
  /** Files and folders. */
  readonly inputs: readonly string[];
  readonly data: 'zeros' | 'random';
  /** Shapes of generated tensors, by name. */
  readonly shapes: ReadonlyMap<string, readonly number[]>;
  /** By name in lower case. */
  readonly headers: Readonly<Record<string, string>>;
  readonly warmupMs: number;
  readonly warmupRequests: number;
  readonly windowMs: number;
  readonly windowsMax: number;
  /** How far the largest of three windows may be above the smallest, as a share of it. */
  readonly stability: number;
  /** The latency that has to be stable, as a share (0.95); null for the mean. */
  readonly percentile: number | null;
  readonly timeoutMs: number;
  /** Share of the measured requests. */
  readonly errorsMax: number;
  readonly metricsUrls: readonly URL[];
  readonly seed: number;
  /** A path, or `-`; null for none. */
  readonly json: string | null;
  readonly csv: string | null;
}

type Reader<T> = (text: string) => Result<T, string>;

/** The error has one line for each problem, each beginning with the flag. */
export function parseBenchOptions({
  operands,
  flags,
  lists,
}: Pick<Invocation, 'operands' | 'flags' | 'lists'>): Result<BenchOptions, readonly string[]> {
  const problems: string[] = [];
  const read = <T, F>(flag: string, reader: Reader<T>, fallback: F): T | F => {
    const text = flags.get(flag);
    if (text === undefined) return fallback;
    const value = reader(text);
    if (value.ok) return value.value;
    problems.push(`--${flag} ${value.error}`);
    return fallback;
  };
  const readAll = <T>(flag: string, reader: Reader<T>): readonly T[] =>
    (lists.get(flag) ?? []).flatMap((text) => {
      const value = reader(text);
      if (!value.ok) problems.push(`--${flag} ${value.error}`);
      return value.ok ? [value.value] : [];
    });

  const reference = parseModelReference(operands[0] ?? '');
  if (reference === undefined) {
    problems.push(`MODEL must be a name, or name@version; "${operands[0] ?? ''}" is neither`);
  }
  const url = read('url', httpUrl, new URL('http://127.0.0.1:8000'));
  const concurrency = read('concurrency', (text) => parseLevels('concurrency', text), null);
  const rates = read('request-rate', (text) => parseLevels('request_rate', text), null);
  if (flags.has('concurrency') && flags.has('request-rate')) {
    problems.push('--concurrency and --request-rate are two kinds of load: give one of them');
  }
  const headers = Object.fromEntries([
    ...(flags.has('tenant') ? [['inferry-tenant', read('tenant', headerValue, '')]] : []),
    ...readAll('header', header),
  ]) as Record<string, string>;
  const inputs = readAll('input', filled);
  for (const flag of ['data', 'shape']) {
    if (inputs.length > 0 && (flags.has(flag) || lists.has(flag))) {
      problems.push(`--${flag} is for generated tensors: it means nothing beside --input`);
    }
  }
  if (flags.get('json') === '-' && flags.get('csv') === '-') {
    problems.push('--json and --csv cannot both be written to standard output');
  }
  const options: BenchOptions = {
    model: reference?.model ?? '',
    version: reference?.version ?? null,
    origin: url.origin,
    basePath: url.pathname.replace(/\/+$/u, ''),
    api: read('api', oneOf(['jobs', 'v2']), 'jobs'),
    levels: rates ?? concurrency ?? [{ kind: 'concurrency', value: 1 }],
    arrivals: read('arrivals', oneOf(['poisson', 'constant']), 'poisson'),
    inFlightMax: read('in-flight-max', whole(1, 10_000), 1_000),
    inputs,
    data: read('data', oneOf(['zeros', 'random']), 'random'),
    shapes: new Map(readAll('shape', shape)),
    headers,
    warmupMs: read('warmup', time(0, 3_600_000), 2_000),
    warmupRequests: read('warmup-requests', whole(0, 1_000_000), 0),
    windowMs: read('window', time(100, 3_600_000), 5_000),
    windowsMax: read('max-windows', whole(1, 1_000), 10),
    stability: read('stability', percent(0, 100), 0.1),
    percentile: read('percentile', percent(1, 99.9), null),
    timeoutMs: read('timeout', time(100, 3_600_000), 30_000),
    errorsMax: read('max-errors', percent(0, 100), 0),
    metricsUrls: readAll('metrics-url', metricsUrl),
    seed: read('seed', whole(0, 2 ** 32 - 1), 1),
    json: read('json', filled, null),
    csv: read('csv', filled, null),
  };
  return problems.length === 0 ? ok(options) : err(problems);
}

function httpUrl(text: string): Result<URL, string> {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || !['http:', 'https:'].includes(url.protocol)) {
    return err(`must be a URL like http://127.0.0.1:8000, "${text}" is not`);
  }
  const isPlain = url.username === '' && url.password === '' && url.search === '';
  return isPlain ? ok(url) : err('must have no user and no query; --header can authorize');
}

function metricsUrl(text: string): Result<URL, string> {
  const url = httpUrl(text);
  if (url.ok && url.value.pathname === '/') url.value.pathname = '/metrics';
  return url;
}

function whole(min: number, max: number): Reader<number> {
  return (text) => {
    const value = /^\d+$/u.test(text) ? Number(text) : Number.NaN;
    return value >= min && value <= max
      ? ok(value)
      : err(`must be a whole number from ${min} to ${max}`);
  };
}

/** Of a hundred, with or without the sign; as a share. */
function percent(min: number, max: number): Reader<number> {
  return (text) => {
    const value = /^\d+(?:\.\d+)?%?$/u.test(text) ? Number.parseFloat(text) : Number.NaN;
    return value >= min && value <= max
      ? ok(value / 100)
      : err(`must be a number from ${min} to ${max}`);
  };
}

function oneOf<const T extends string>(words: readonly T[]): Reader<T> {
  return (text) => {
    const word = words.find((one) => one === text);
    return word === undefined ? err(`must be ${words.join(' or ')}`) : ok(word);
  };
}

function filled(text: string): Result<string, string> {
  return text === '' ? err('needs a value') : ok(text);
}

/** `input:1,3,224,224`. The last colon counts: names of tensors may have some. */
function shape(text: string): Result<readonly [string, readonly number[]], string> {
  const at = text.lastIndexOf(':');
  const dimensions = text.slice(at + 1).split(',');
  if (at < 1 || !dimensions.every((part) => /^[1-9]\d{0,8}$/u.test(part))) {
    return err(`must be like input:1,3,224,224, "${text}" is not`);
  }
  return ok([text.slice(0, at), dimensions.map(Number)]);
}

function header(text: string): Result<readonly [string, string], string> {
  const at = text.indexOf(':');
  const name = text.slice(0, Math.max(0, at)).trim().toLowerCase();
  if (!/^[\w!#$%&'*+.^`|~-]+$/u.test(name)) {
    return err('must be a name, a colon and a value, like "Authorization: Bearer x"');
  }
  const value = headerValue(text.slice(at + 1));
  return value.ok ? ok([name, value.value]) : value;
}

function headerValue(text: string): Result<string, string> {
  const value = text.trim();
  return /^[\x20-\x7e]+$/u.test(value) ? ok(value) : err('must have a value of printable ASCII');
}
