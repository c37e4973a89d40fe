/**
 * Is this Redis fit to hold queues? Told from INFO, which needs no right to read the configuration, and from
 * a real write: a server at its memory limit, or a replica, answers PING like any other.
 */
import { type Clock, err, ok, type Result } from '@inferry/runtime';
import { Redis } from 'ioredis';
import { connect } from 'node:net';
import type { QueueCheck } from '../reports.ts';
import { type ConnectionOptions, redisOptions } from './connection.ts';
import { redisAddress } from './redis-address.ts';

/** Oldest version that BullMQ works with. */
const versionMin = [6, 2] as const;
/** Share of `maxmemory` above which a burst may reach it. */
const usedShareMax = 0.8;
const clientsShareMax = 0.8;
const connectMsMax = 3_000;
const greetingMsMax = 500;
const probeKeyMs = 10_000;
/** Further apart, times of jobs measured in two processes say little. */
const clockOffsetMsMax = 250;
const roundTripMsMax = 20;

/** What {@link inspectRedis} found out. */
export interface RedisReport {
  /** `7.0.15`, or `valkey 8.0.1`. */
  readonly version: string;
  /** Clock of this machine minus the clock of Redis, ms. */
  readonly clockOffsetMs: number;
  /** Shortest of a few, ms. */
  readonly roundTripMs: number;
  readonly checks: readonly QueueCheck[];
}

type Commands = Pick<Redis, 'info' | 'eval' | 'time'>;

/**
 * Connects once, inspects, and disconnects again. The error says why that is not possible: nobody listens or
 * answers, the name is unknown, the password, the rights of the user or the database are wrong, Redis is loading.
 */
export async function inspectRedis(
  options: ConnectionOptions,
  clock: Clock,
): Promise<Result<RedisReport, string>> {
  const redis = new Redis({
    ...redisOptions(options.url),
    lazyConnect: true,
    connectTimeout: connectMsMax,
    commandTimeout: connectMsMax,
    maxRetriesPerRequest: 0,
    retryStrategy: () => null,
    // It would wait for a Redis that is loading, and write to the console where INFO is not allowed.
    enableReadyCheck: false,
  });
  let lastError: Error | undefined;
  redis.on('error', (cause: Error) => {
    lastError = cause;
  });
  try {
    await redis.connect();
    // The client goes on in database 0 where the one of the URL does not exist.
    const { database } = redisAddress(options.url);
    if (database > 0) await redis.select(database);
    return ok(await report(redis, options.prefix, clock));
  } catch (cause) {
    const { message } = lastError ?? (cause as Error);
    if (/EPIPE|ECONNRESET|is closed/u.test(message)) {
      return err((await greetingOf(options.url)) ?? message);
    }
    if (message !== 'Command timed out') return err(message);
    return err(`it takes connections, and does not answer within ${connectMsMax / 1_000} s`);
  } finally {
    redis.disconnect();
  }
}

/**
 * What Redis says to whom it shuts the door (protected mode, too many clients), before it is asked anything: the
 * client tells of its own write that failed.
 */
function greetingOf(url: string): Promise<string | undefined> {
  const { at } = redisAddress(url);
  return new Promise((resolve) => {
    const socket = connect('path' in at ? at : { host: at.host, port: at.port });
    const end = (said?: string): void => {
      socket.destroy();
      // Its first sentence: how to allow it is told at length.
      resolve(said?.startsWith('-') === true ? said.slice(1).split(/[.\r\n]/u, 1)[0] : undefined);
    };
    socket.setTimeout(greetingMsMax, () => end());
    socket.on('error', () => end());
    socket.once('data', (said: Buffer) => end(said.toString()));
    socket.once('close', () => end());
  });
}

/** The checks on an open connection; throws when Redis cannot be reached. */
export async function redisChecks(
  redis: Commands,
  prefix: string,
  clock: Clock,
): Promise<readonly QueueCheck[]> {
  return (await report(redis, prefix, clock)).checks;
}

async function report(redis: Commands, prefix: string, clock: Clock): Promise<RedisReport> {
  const info = parseInfo(await redis.info());
  if (info.get('loading') === '1') throw new Error(loadingText(info));
  const { clockOffsetMs, roundTripMs } = await measure(redis, clock);
  const product = info.get('valkey_version');
  const version = product === undefined ? text(info, 'redis_version') : `valkey ${product}`;
  const checks = [
    versionCheck(text(info, 'redis_version'), version),
    roleCheck(info),
    policyCheck(text(info, 'maxmemory_policy')),
    persistenceCheck(info),
    headroomCheck(number(info, 'used_memory'), number(info, 'maxmemory')),
    clientsCheck(number(info, 'connected_clients'), number(info, 'maxclients')),
    await writeCheck(redis, prefix),
    clockCheck(clockOffsetMs),
    roundTripCheck(roundTripMs),
  ];
  return { version, clockOffsetMs, roundTripMs, checks };
}

/** Everything but INFO is refused meanwhile. */
function loadingText(info: Info): string {
  const seconds = info.get('loading_eta_seconds');
  return `LOADING: it reads its data from disk${seconds === undefined ? '' : `, for about ${seconds} s more`}`;
}

/** Of a few round trips the shortest says most about the clock. */
async function measure(
  redis: Commands,
  clock: Clock,
): Promise<Pick<RedisReport, 'clockOffsetMs' | 'roundTripMs'>> {
  let best = { clockOffsetMs: 0, roundTripMs: Number.POSITIVE_INFINITY };
  for (let i = 0; i < 5; i += 1) {
    const sentMs = clock.nowMs();
    const [seconds, micros] = await redis.time();
    const roundTripMs = clock.nowMs() - sentMs;
    if (roundTripMs >= best.roundTripMs) continue;
    const theirsMs = Number(seconds) * 1_000 + Number(micros) / 1_000;
    best = { clockOffsetMs: sentMs + roundTripMs / 2 - theirsMs, roundTripMs };
  }
  return best;
}

function versionCheck(compatible: string, shown: string): QueueCheck {
  const [major = 0, minor = 0] = compatible.split('.').map(Number);
  const isFit = major > versionMin[0] || (major === versionMin[0] && minor >= versionMin[1]);
  return isFit
    ? fine('version', shown)
    : bad('version', `${shown} is too old`, 'run Redis 6.2 or newer; 7.0 is what is tested');
}

function roleCheck(info: Info): QueueCheck {
  if (info.get('cluster_enabled') === '1') {
    const remedy = 'use a Redis that is not in cluster mode';
    return bad('role', 'cluster mode: keys of one job lie on several nodes', remedy);
  }
  const role = text(info, 'role');
  if (role === 'master') return fine('role', 'primary');
  return bad('role', `${role}: it takes no writes`, 'name the primary in REDIS_URL');
}

function policyCheck(policy: string): QueueCheck {
  if (policy === 'noeviction') return fine('maxmemory_policy', policy);
  const remedy = 'set maxmemory-policy noeviction';
  return bad('maxmemory_policy', `${policy} drops jobs when memory runs short`, remedy);
}

function persistenceCheck(info: Info): QueueCheck {
  if (info.get('aof_enabled') !== '1') {
    const detail = 'no append-only file: accepted jobs are lost when Redis restarts';
    return bad('persistence', detail, 'set appendonly yes and appendfsync everysec');
  }
  const status = text(info, 'aof_last_write_status');
  if (status === 'ok') return fine('persistence', 'append-only file');
  const remedy = 'look at the disk of Redis: it is full or fails';
  return bad('persistence', `the last write of the append-only file was: ${status}`, remedy);
}

function headroomCheck(used: number, max: number): QueueCheck {
  const usedText = mebibytes(used);
  if (max === 0) {
    const remedy = 'set maxmemory to about two thirds of the memory of its machine or container';
    return doubtful('headroom', `${usedText} used, and maxmemory is not set`, remedy);
  }
  const detail = `${usedText} of ${mebibytes(max)} used (${Math.round((100 * used) / max)} %)`;
  if (used <= usedShareMax * max) return fine('headroom', detail);
  const remedy = 'raise maxmemory, lower INFERRY_RETENTION_MS or INFERRY_QUEUE_BYTES';
  return bad('headroom', detail, remedy);
}

/** Redis before 7.0 does not tell its limit. */
function clientsCheck(connected: number, max: number): QueueCheck {
  const detail = max === 0 ? `${connected} connected` : `${connected} of ${max} connected`;
  if (max === 0 || connected <= clientsShareMax * max) return fine('clients', detail);
  return doubtful('clients', detail, 'raise maxclients: each process opens up to five connections');
}

/** A script that writes and reads back, as every step of a job is one. */
async function writeCheck(redis: Commands, prefix: string): Promise<QueueCheck> {
  const script = `redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2]) return redis.call('GET', KEYS[1])`;
  try {
    const back = await redis.eval(script, 1, `${prefix}:probe`, '1', String(probeKeyMs));
    if (back === '1') return fine('write_probe', 'a script wrote and read back');
    return bad('write_probe', `a script read back ${String(back)}`, 'look at the log of Redis');
  } catch (cause) {
    const { message } = cause as Error;
    if (!isReply(message)) throw cause;
    return bad('write_probe', message, remedyFor(message));
  }
}

/** Refusals of the server, as against failures of the connection. */
function isReply(message: string): boolean {
  return /^(?:ERR|OOM|NOPERM|READONLY|MISCONF|NOREPLICAS|BUSY|LOADING|MASTERDOWN|CLUSTERDOWN|NOAUTH)\b/u.test(
    message,
  );
}

function remedyFor(message: string): string {
  if (message.startsWith('OOM')) return 'free memory or raise maxmemory: no job is accepted now';
  if (/^NOPERM|user executing the script can't/u.test(message)) {
    return 'give the user of REDIS_URL the rights that infra/redis/make-users.mjs writes';
  }
  if (/^(?:READONLY|MASTERDOWN)/u.test(message)) return 'name the primary in REDIS_URL';
  if (message.startsWith('NOREPLICAS')) {
    return 'connect as many replicas as min-replicas-to-write asks for';
  }
  if (message.startsWith('MISCONF')) return 'look at the disk of Redis: it is full or fails';
  return 'look at the log of Redis';
}

function clockCheck(offsetMs: number): QueueCheck {
  const side = offsetMs < 0 ? 'behind' : 'ahead of';
  const detail = `this machine is ${Math.abs(offsetMs).toFixed(0)} ms ${side} Redis`;
  if (Math.abs(offsetMs) <= clockOffsetMsMax) return fine('clock', detail);
  return doubtful('clock', detail, 'run a time service (chrony, systemd-timesyncd) on both');
}

function roundTripCheck(roundTripMs: number): QueueCheck {
  const detail = `${roundTripMs.toFixed(2)} ms`;
  if (roundTripMs <= roundTripMsMax) return fine('round_trip', detail);
  return doubtful(
    'round_trip',
    detail,
    'run Redis in the same zone; each job takes a few of these',
  );
}

function fine(name: QueueCheck['name'], detail: string): QueueCheck {
  return { name, verdict: 'fine', detail, remedy: null };
}

function doubtful(name: QueueCheck['name'], detail: string, remedy: string): QueueCheck {
  return { name, verdict: 'doubtful', detail, remedy };
}

function bad(name: QueueCheck['name'], detail: string, remedy: string): QueueCheck {
  return { name, verdict: 'bad', detail, remedy };
}

type Info = ReadonlyMap<string, string>;

function parseInfo(info: string): Info {
  const pairs = info.split('\r\n').flatMap((line): [string, string][] => {
    const colon = line.indexOf(':');
    return line.startsWith('#') || colon < 0 ? [] : [[line.slice(0, colon), line.slice(colon + 1)]];
  });
  return new Map(pairs);
}

function text(info: Info, field: string): string {
  return info.get(field) ?? 'unknown';
}

function number(info: Info, field: string): number {
  return Number(info.get(field) ?? 0);
}

function mebibytes(bytes: number): string {
  return `${(bytes / 1024 ** 2).toFixed(1)} MiB`;
}
