/**
 * A Redis with the users of infra/redis/make-users.mjs: each can do what it is for, and nothing else. The
 * other end-to-end tests run as the user of the processes with `npm run test:users`.
 */
import {
  type RedisLogin,
  type RedisServer,
  repositoryPath,
  startRedisServer,
} from '@inferry/testkit';
import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { makeRedisUsers, type RedisUsers } from '../redis-users.ts';
import { call, demoModels, ended, postJson, System } from '../system.ts';

const iris = {
  input: { sepal_length: 5.1, sepal_width: 3.5, petal_length: 1.4, petal_width: 0.2 },
};

let users: RedisUsers;
let redis: RedisServer;
let system: System | undefined;
beforeAll(async () => {
  users = await makeRedisUsers();
  const configFile = repositoryPath('infra/redis/redis.conf');
  redis = await startRedisServer({ configFile, ...users.server });
});
afterAll(async () => {
  await system?.stop();
  await redis[Symbol.asyncDispose]();
});

/** The replies to one command after another of a user, as one text. */
function ask({ username, password }: RedisLogin, commands: readonly string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect({ port: redis.port, host: '127.0.0.1' });
    const lines = [`AUTH ${username} ${password}`, ...commands, 'QUIT', ''];
    let replies = '';
    socket.once('connect', () => socket.write(lines.join('\r\n')));
    socket.on('data', (chunk: Buffer) => (replies += chunk.toString()));
    socket.once('error', reject);
    socket.once('close', () => resolve(replies));
  });
}

test('jobs of every kind go through as the user of the processes', async () => {
  system = await System.open(users.server);
  const gateway = await system.start('gateway', demoModels);
  await system.start('worker', demoModels);
  const jobs = `${gateway.url}/v1/models/iris/jobs`;
  expect(await postJson(jobs, iris, { prefer: 'wait=10' })).toMatchObject({
    status: 200,
    body: { status: 'succeeded' },
  });
  const { body } = await postJson(jobs, iris, { 'idempotency-key': 'once' });
  const id = String(body['id']);
  expect(await ended(gateway.url, id)).toMatchObject({ status: 'succeeded' });
  const canceled = await postJson(`${gateway.url}/v1/jobs/${id}/cancel`, {});
  expect(canceled.body).toMatchObject({ id, status: 'succeeded' });
  expect((await call(`${gateway.url}/v1/jobs/${id}`, { method: 'DELETE' })).status).toBe(204);
  expect((await call(`${gateway.metricsUrl}/readyz`)).status).toBe(200);
});

test.each([
  'FLUSHALL',
  'KEYS *',
  'CONFIG GET dir',
  'SHUTDOWN NOSAVE',
  'SET foreign 1',
  'GET foreign',
  'PUBLISH foreign x',
  'SCRIPT FLUSH',
  'ACL LIST',
  'REPLICAOF NO ONE',
])('the user of the processes may not %s', async (command) => {
  expect(await ask(users.logins.inferry, [command])).toContain('-NOPERM');
});

test('the user of KEDA may look how many jobs wait, and neither read nor change one', async () => {
  const zcard = `EVAL "return redis.call('zcard', KEYS[1])" 1 inferry:{iris@1}:prioritized`;
  expect(await ask(users.logins.keda, [zcard])).toContain(':0');
  for (const command of ['GET inferry:probe', 'SET inferry:probe 1', 'INFO', 'ZCARD foreign']) {
    expect(await ask(users.logins.keda, [command]), command).toContain('-NOPERM');
  }
});

test('the user of the exporter may see how the server is, and no key', async () => {
  expect(await ask(users.logins.exporter, ['INFO memory'])).toContain(
    'maxmemory_policy:noeviction',
  );
  expect(await ask(users.logins.exporter, ['GET inferry:probe'])).toContain('-NOPERM');
});

test('nobody gets in without a name', async () => {
  expect(await ask({ username: 'default', password: 'x' }, ['PING'])).toMatch(/WRONGPASS|NOAUTH/u);
});

test('a second run changes nothing, and prints no password of users that do not exist', async () => {
  const script = repositoryPath('infra/redis/make-users.mjs');
  const [file = ''] = users.server.extraArguments?.slice(1) ?? [];
  const before = await readFile(file, 'utf8');
  const run = promisify(execFile)(process.execPath, [script, '--out', file]);
  await expect(run).rejects.toMatchObject({ code: 2, stdout: '' });
  expect(await readFile(file, 'utf8')).toBe(before);
});
