/** Is the Redis of REDIS_URL fit to hold queues? */
import { inspectRedis, type QueueCheck } from '@inferry/queue';
import type { Clock } from '@inferry/runtime';
import type { Config } from '../config.ts';
import { bad, fine, type Finding, leftOut } from './check.ts';

const shownNames: Readonly<Record<QueueCheck['name'], string>> = {
  version: 'version',
  role: 'role',
  maxmemory_policy: 'eviction',
  persistence: 'persistence',
  headroom: 'memory',
  clients: 'connections',
  write_probe: 'write',
  clock: 'clock',
  round_trip: 'round trip',
};

export async function checkRedis(
  { redisPrefix, redisUrl }: Pick<Config, 'redisPrefix' | 'redisUrl'>,
  clock: Clock,
): Promise<readonly Finding[]> {
  if (redisUrl === null) {
    const remedy = 'set REDIS_URL for jobs that outlive a restart, and for more than one process';
    return [leftOut('Redis', 'REDIS_URL is not set: serve queues in memory', remedy)];
  }
  const report = await inspectRedis({ url: redisUrl, prefix: redisPrefix }, clock);
  if (!report.ok) return [bad('Redis', report.error, remedyFor(report.error, redisUrl))];
  const checks = report.value.checks.map(({ name, ...found }): Finding => ({
    name: `Redis ${shownNames[name]}`,
    ...found,
  }));
  return [fine('Redis', `connected, ${withoutPassword(redisUrl)}`), ...checks];
}

function remedyFor(message: string, url: string): string {
  if (/WRONGPASS|NOAUTH/u.test(message)) return 'correct the user and password in REDIS_URL';
  if (/NOPERM/u.test(message)) {
    return 'give the user of REDIS_URL the rights that infra/redis/make-users.mjs writes';
  }
  if (message.startsWith('DENIED')) {
    return 'give Redis users (infra/redis/make-users.mjs), or set protected-mode no in a closed network';
  }
  if (/max number of clients/u.test(message)) return 'raise maxclients: all connections are taken';
  if (message.startsWith('BUSY')) return 'a script runs there for too long: end it by SCRIPT KILL';
  if (/DB index/u.test(message)) return 'correct the database in REDIS_URL, or leave it out';
  if (message.startsWith('LOADING')) return 'wait until it has; processes wait for it too';
  if (/ENOTFOUND|EAI_AGAIN/u.test(message)) return 'correct the host in REDIS_URL';
  if (/ENOENT|EACCES/u.test(message)) return 'correct the path in REDIS_URL, or its permissions';
  if (/certificate|SSL|TLS/iu.test(message)) {
    return 'name the authority of its certificate in NODE_EXTRA_CA_CERTS (a file), or use redis://';
  }
  if (/ECONNREFUSED/u.test(message)) return 'start Redis there, or correct REDIS_URL';
  const other = url.startsWith('rediss:')
    ? 'redis:// where it speaks no TLS'
    : 'rediss:// where it speaks TLS';
  return `see whether Redis answers there, or correct REDIS_URL: ${other}`;
}

function withoutPassword(text: string): string {
  const url = new URL(text);
  return `${url.protocol}//${url.host}${url.pathname}`;
}
