/**
 * Structured logs: one JSON object a line, with `level` as a word, `time` in ISO 8601, `role` and `pid`.
 * Secrets that get into a field are blanked. The only file that knows the logging library.
 */
import { pino, stdTimeFunctions } from 'pino';

export type LogLevel = 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'fatal' | 'silent';
/** Fields in snake_case; an Error goes under `err`. Jobs and requests are `job_id`, `request_id`. */
export type LogFields = Readonly<Record<string, unknown>>;

export interface Logger {
  trace(fields: LogFields, message: string): void;
  debug(fields: LogFields, message: string): void;
  info(fields: LogFields, message: string): void;
  warn(fields: LogFields, message: string): void;
  error(fields: LogFields, message: string): void;
  fatal(fields: LogFields, message: string): void;
  /** A logger that adds `fields` to every line, e.g. `{ job_id, request_id }`. */
  child(fields: LogFields): Logger;
}

export interface LoggerOptions {
  /** gateway, worker, supervisor, ... */
  readonly role: string;
  readonly level: LogLevel;
  /** Takes whole lines; standard output by default. */
  readonly destination?: { write(line: string): void };
}

const secretNames = [
  'authorization',
  'cookie',
  'password',
  'secret',
  'token',
  'api_key',
  'redis_url',
];
/** At the top of the fields, and one and two levels down (as in `request.headers.authorization`). */
const secretPaths = secretNames.flatMap((name) => [name, `*.${name}`, `*.*.${name}`]);

export function createLogger({ role, level, destination }: LoggerOptions): Logger {
  const options = {
    level,
    base: { role, pid: process.pid },
    timestamp: stdTimeFunctions.isoTime,
    formatters: { level: (label: string) => ({ level: label }) },
    redact: { paths: secretPaths, censor: blanked },
  };
  return destination === undefined ? pino(options) : pino(options, destination);
}

/** An address keeps all but its password; every other secret goes altogether. */
function blanked(value: unknown): string {
  if (typeof value !== 'string' || !URL.canParse(value)) return '[redacted]';
  const url = new URL(value);
  if (url.host === '') return '[redacted]';
  if (url.password !== '') url.password = 'redacted';
  return url.href;
}
