import { systemClock } from '@inferry/runtime';
import { freePort, repositoryPath, startRedisServer } from '@inferry/testkit';
import { Redis } from 'ioredis';
import { describe, expect, test } from 'vitest';
import type { QueueCheck } from '../reports.ts';
import { createBullmqQueue } from './bullmq-queue.ts';
import { inspectRedis, type RedisReport } from './redis-inspection.ts';

const shipped = { configFile: repositoryPath('infra/redis/redis.conf') };

async function inspected(url: string): Promise<RedisReport> {
  const report = await inspectRedis({ url, prefix: 'inferry' }, systemClock);
  if (!report.ok) throw new Error(report.error);
  return report.value;
}

function checkNamed(checks: readonly QueueCheck[], name: QueueCheck['name']): QueueCheck {
  const found = checks.find((check) => check.name === name);
  if (found === undefined) throw new Error(`no check ${name}`);
  return found;
}

describe('a Redis with the shipped configuration', () => {
  test('is fit in every respect', async () => {
    await using server = await startRedisServer(shipped);
    const { checks, clockOffsetMs, roundTripMs, version } = await inspected(server.url);
    expect(checks.filter(({ verdict }) => verdict === 'bad')).toEqual([]);
    expect(new Set(checks.map(({ name }) => name)).size).toBe(checks.length);
    expect(version).toMatch(/^(?:valkey )?\d+\.\d+\.\d+$/u);
    expect(Math.abs(clockOffsetMs)).toBeLessThan(1_000);
    expect(roundTripMs).toBeGreaterThan(0);
  });

  test('leaves nothing behind that does not expire', async () => {
    await using server = await startRedisServer(shipped);
    await inspected(server.url);
    const redis = new Redis(server.url);
    const keys = await redis.keys('*');
    expect(keys).toEqual(['inferry:probe']);
    expect(await redis.pttl('inferry:probe')).toBeGreaterThan(0);
    redis.disconnect();
  });
});

test.each<[QueueCheck['name'], QueueCheck['verdict'], readonly string[], string]>([
  ['maxmemory_policy', 'bad', ['--maxmemory-policy', 'allkeys-lru'], 'maxmemory-policy noeviction'],
  ['persistence', 'bad', ['--appendonly', 'no'], 'appendonly yes'],
  ['headroom', 'doubtful', ['--maxmemory', '0'], 'set maxmemory'],
  ['headroom', 'bad', ['--maxmemory', '100kb'], 'raise maxmemory'],
  ['write_probe', 'bad', ['--maxmemory', '100kb'], 'no job is accepted'],
  ['role', 'bad', ['--replicaof', '127.0.0.1 1'], 'the primary'],
  ['write_probe', 'bad', ['--replicaof', '127.0.0.1 1'], 'the primary'],
  ['write_probe', 'bad', ['--min-replicas-to-write', '1'], 'replicas'],
  ['role', 'bad', ['--cluster-enabled', 'yes', '--appendonly', 'no'], 'cluster mode'],
  ['clients', 'doubtful', ['--maxclients', '1'], 'maxclients'],
])('%s is %s with %j, and it says what to do', async (name, verdict, extraArguments, remedy) => {
  await using server = await startRedisServer({ ...shipped, extraArguments });
  const check = checkNamed((await inspected(server.url)).checks, name);
  expect(check.verdict).toBe(verdict);
  expect(check.remedy).toContain(remedy);
});

test('a user that may not write is told what rights to ask for', async () => {
  await using server = await startRedisServer({
    ...shipped,
    extraArguments: ['--user', 'reader', 'on', '>secret', '~*', '+@read', '+@connection', '+info'],
  });
  const url = `redis://reader:secret@127.0.0.1:${server.port}`;
  const report = await inspectRedis({ url, prefix: 'inferry' }, systemClock);
  expect(report).toEqual({ ok: false, error: expect.stringContaining('NOPERM') });
});

test.each([
  ['nobody listens', (port: number) => `redis://127.0.0.1:${port}`, 'ECONNREFUSED'],
  ['the name is unknown', () => 'redis://no-such-host.invalid:6379', 'no-such-host'],
])('where %s the error says so', async (_, urlOf, message) => {
  const url = urlOf(await freePort());
  const report = await inspectRedis({ url, prefix: 'inferry' }, systemClock);
  expect(report).toEqual({ ok: false, error: expect.stringContaining(message) });
});

test('a Redis that takes no more clients says so itself', async () => {
  await using server = await startRedisServer({ extraArguments: ['--maxclients', '1'] });
  const other = new Redis(server.url);
  await other.ping();
  const report = await inspectRedis({ url: server.url, prefix: 'inferry' }, systemClock);
  expect(report).toEqual({ ok: false, error: expect.stringContaining('max number of clients') });
  other.disconnect();
});

test('a wrong password is told as such', async () => {
  await using server = await startRedisServer({
    ...shipped,
    extraArguments: ['--requirepass', 'right'],
    login: { username: 'default', password: 'right' },
  });
  const url = `redis://:wrong@127.0.0.1:${server.port}`;
  const report = await inspectRedis({ url, prefix: 'inferry' }, systemClock);
  expect(report).toEqual({ ok: false, error: expect.stringMatching(/WRONGPASS|NOAUTH/u) });
});

test('an open queue inspects its own Redis', async () => {
  await using server = await startRedisServer(shipped);
  const queue = createBullmqQueue({
    url: server.url,
    prefix: 'other',
    clock: systemClock,
    processId: 'p',
  });
  await new Promise<void>((resolve) => {
    queue.events.on('connected', ({ client }) => {
      if (client === 'commands') resolve();
    });
  });
  const checks = await queue.inspect();
  expect(checkNamed(checks, 'write_probe').verdict).toBe('fine');
  await queue.close();
});
