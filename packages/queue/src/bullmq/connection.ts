/**
 * Connections to Redis, beside the one for large values (blob-connection.ts). The only package that imports
 * ioredis.
 */
import type { Emitter } from '@inferry/runtime';
import { Redis, type RedisOptions, ReplyError } from 'ioredis';
import type { QueueEvents } from '../port.ts';
import { redisAddress } from './redis-address.ts';

export interface ConnectionOptions {
  /** `redis://`, `rediss://` or `unix://`, with credentials and database where needed: {@link redisAddress}. */
  readonly url: string;
  /** In front of every key; `inferry` unless several systems share one Redis. */
  readonly prefix: string;
}

/** Pause before the n-th attempt to reconnect: for ever, at most a second apart. */
export function retryMs(times: number): number {
  return Math.min(50 * 2 ** times, 1_000);
}

/** Without the member whose declared type does not fit exact optional properties. */
type Settings = Omit<RedisOptions, 'replyMapping'>;

const fast: Settings = {
  // A caller gets its 503 at once; nothing piles up in memory while Redis is away.
  enableOfflineQueue: false,
  maxRetriesPerRequest: 1,
  commandTimeout: 2_000,
  retryStrategy: retryMs,
};

/** For small commands; concurrent ones travel together. */
export function commandConnection(options: ConnectionOptions, events: Emitter<QueueEvents>): Redis {
  return open(options, { ...fast, enableAutoPipelining: true }, 'commands', events);
}

/** For a call that waits on the server, or a subscription: both survive an outage by waiting. */
export function waitingConnection(
  options: ConnectionOptions,
  client: 'wake' | 'outcomes',
  events: Emitter<QueueEvents>,
): Redis {
  return open(options, { maxRetriesPerRequest: null, retryStrategy: retryMs }, client, events);
}

function open(
  options: ConnectionOptions,
  settings: Settings,
  client: string,
  events: Emitter<QueueEvents>,
): Redis {
  const redis = new Redis({ ...settings, ...redisOptions(options.url) });
  redis.on('ready', () => events.emit('connected', { client }));
  redis.on('close', () => events.emit('disconnected', { client }));
  // Reported as connected and disconnected; without a listener an error would end the process.
  redis.on('error', () => undefined);
  return redis;
}

/** Where the URL points to, as ioredis takes it. */
export function redisOptions(url: string): Settings {
  const { at, database: db, password, username } = redisAddress(url);
  return {
    ...('path' in at ? at : { host: at.host, port: at.port, ...(at.isTls ? { tls: {} } : {}) }),
    ...(username === '' ? {} : { username }),
    ...(password === '' ? {} : { password }),
    db,
  };
}

/** Why a command failed: the server refused for lack of memory, could not be reached, or has a bug of ours. */
export function causeOf(error: unknown): 'memory' | 'unreachable' | 'bug' {
  if (!(error instanceof ReplyError)) return error instanceof Error ? 'unreachable' : 'bug';
  const text = String((error as { readonly message?: unknown }).message);
  if (/\bOOM\b/u.test(text)) return 'memory';
  return /^(?:LOADING|READONLY|MASTERDOWN|CLUSTERDOWN|TRYAGAIN|BUSY|NOREPLICAS|MISCONF)\b/u.test(
    text,
  )
    ? 'unreachable'
    : 'bug';
}
