import { VirtualClock } from '@inferry/runtime';
import { freePort, repositoryPath, startRedisServer } from '@inferry/testkit';
import { createServer } from 'node:http';
import { createServer as createTcpServer } from 'node:net';
import { expect, test } from 'vitest';
import type { Environment } from '../config.ts';
import type { Finding } from './check.ts';
import { doctor, parseDoctorOptions } from './doctor.ts';

const shipped = { configFile: repositoryPath('infra/redis/redis.conf') };
const demoModels = repositoryPath('models');

interface Diagnosis {
  readonly code: number;
  readonly findings: readonly Finding[];
}

/** What the command finds, with free ports unless they are given. */
async function diagnose(
  env: Environment,
  directory: string | undefined = demoModels,
): Promise<Diagnosis> {
  const ports = { PORT: '0', GRPC_PORT: '0', METRICS_PORT: '0' };
  const source = { env: { ...ports, ...env }, flags: new Map<string, string>(), directory };
  const options = parseDoctorOptions(source, true);
  if (!options.ok) throw new Error(JSON.stringify(options.error));
  let text = '';
  const print = (more: string): void => {
    text += more;
  };
  const code = await doctor(options.value, { clock: new VirtualClock(), print });
  const { findings } = JSON.parse(text) as { readonly findings: readonly Finding[] };
  return { code, findings };
}

function verdictOf({ findings }: Diagnosis, name: string): string | undefined {
  return findings.find((finding) => finding.name === name)?.verdict;
}

test('a machine with the shipped Redis and models is fit', async () => {
  await using server = await startRedisServer(shipped);
  const diagnosis = await diagnose({ REDIS_URL: server.url });
  expect(diagnosis.findings.filter(({ verdict }) => verdict === 'bad')).toEqual([]);
  expect(diagnosis.code).toBe(0);
  for (const name of ['Node.js', 'ONNX Runtime', 'Models', 'Redis write', 'Redis persistence']) {
    expect(verdictOf(diagnosis, name), name).toBe('fine');
  }
});

test('a Redis that loses jobs is not, and each reason says what to do', async () => {
  const extraArguments = ['--appendonly', 'no', '--maxmemory-policy', 'volatile-lru'];
  await using server = await startRedisServer({ ...shipped, extraArguments });
  const diagnosis = await diagnose({ REDIS_URL: server.url });
  const bad = diagnosis.findings.filter(({ verdict }) => verdict === 'bad');
  expect(bad.map(({ name }) => name)).toEqual(['Redis eviction', 'Redis persistence']);
  expect(bad.every(({ remedy }) => remedy !== null)).toBe(true);
  expect(diagnosis.code).toBe(1);
});

test('a Redis that is not there is bad, and no Redis at all is not', async () => {
  const away = await diagnose({ REDIS_URL: `redis://user:secret@127.0.0.1:${await freePort()}` });
  expect(verdictOf(away, 'Redis')).toBe('bad');
  expect(JSON.stringify(away)).not.toContain('secret');
  const none = await diagnose({});
  expect([verdictOf(none, 'Redis'), none.code]).toEqual(['left out', 0]);
});

test('the password is in no finding', async () => {
  const login = { username: 'default', password: 'hunter2' };
  const extraArguments = ['--requirepass', login.password];
  await using server = await startRedisServer({ ...shipped, extraArguments, login });
  const diagnosis = await diagnose({ REDIS_URL: server.url });
  expect(verdictOf(diagnosis, 'Redis')).toBe('fine');
  expect(JSON.stringify(diagnosis)).not.toContain('hunter2');
});

test('a broken repository is bad, and a missing one is left out', async () => {
  const broken = await diagnose({}, repositoryPath('packages/testkit/fixtures/broken'));
  expect([verdictOf(broken, 'Models'), broken.code]).toEqual(['bad', 1]);
  const source = { env: {}, flags: new Map<string, string>() };
  const options = parseDoctorOptions(source, false);
  expect(options).toMatchObject({ ok: true, value: { config: { modelsDir: null } } });
});

test('a model that INFERRY_ONLY names has to be there', async () => {
  const diagnosis = await diagnose({ INFERRY_ONLY: 'iris,nobody' });
  const details = diagnosis.findings.map(({ detail }) => detail);
  expect(details).toContain(`nobody is not in ${demoModels}`);
  expect(diagnosis.code).toBe(1);
});

test('a GPU that is not there is bad, and says how to go on', async () => {
  const diagnosis = await diagnose({ INFERRY_DEVICE: 'cuda:63' });
  const gpu = diagnosis.findings.find(({ name }) => name === 'GPU');
  expect(gpu).toMatchObject({ verdict: 'bad', remedy: expect.stringContaining('driver') });
});

test.each([
  ['something else', 'no Inferry', 'bad'],
  ['an Inferry', '{"live":true}', 'fine'],
])('a port on which %s listens is told', async (_, body, verdict) => {
  const server = createServer((_request, response) => response.end(body)).listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const address = server.address();
  const port = typeof address === 'object' ? String(address?.port) : '';
  const diagnosis = await diagnose({ PORT: port });
  expect(verdictOf(diagnosis, 'Port for callers')).toBe(verdict);
  await new Promise((resolve) => server.close(resolve));
});

test.each([
  ['METRICS_PORT', 'Port for operators'],
  ['GRPC_PORT', 'Port for gRPC'],
])('%s cannot be that of PORT', async (setting, name) => {
  const port = String(await freePort());
  const diagnosis = await diagnose({ PORT: port, [setting]: port });
  expect([verdictOf(diagnosis, name), diagnosis.code]).toEqual(['bad', 1]);
});

test('a host that is not of this machine is told by HOST, and an IPv6 address is asked in brackets', async () => {
  const away = await diagnose({ HOST: '203.0.113.7', PORT: String(await freePort()) });
  const port = away.findings.find(({ name }) => name === 'Port for callers');
  expect(port).toMatchObject({ verdict: 'bad', remedy: 'correct HOST' });
  const server = createServer((_request, response) => response.end('{"live":true}'));
  server.listen(0, '::1');
  await new Promise((resolve) => server.once('listening', resolve));
  const address = server.address();
  const taken = typeof address === 'object' ? String(address?.port) : '';
  const diagnosis = await diagnose({ HOST: '::1', PORT: taken });
  expect(verdictOf(diagnosis, 'Port for callers')).toBe('fine');
  await new Promise((resolve) => server.close(resolve));
});

test('what ends a process at its start, or was meant as a setting, is told', async () => {
  const { code, findings } = await diagnose({
    INFERRY_DEVISE: 'cpu',
    OTEL_EXPORTER_OTLP_ENDPOINT: 'no address',
  });
  expect(findings.slice(0, 2)).toMatchObject([
    { name: 'Settings', verdict: 'doubtful', remedy: expect.stringContaining('INFERRY_DEVICE') },
    { name: 'Tracing', verdict: 'bad' },
  ]);
  expect(code).toBe(1);
});

test.each([
  ['is silent', () => '', 'does not answer', 'rediss://'],
  [
    'is loading',
    (command: string) => {
      const info = 'loading:1\r\nloading_eta_seconds:7\r\n';
      if (/hello/iu.test(command)) return "-ERR unknown command 'HELLO'\r\n";
      return /\binfo\b/iu.test(command) ? `$${info.length}\r\n${info}\r\n` : '-LOADING\r\n';
    },
    'for about 7 s more',
    'wait',
  ],
])('a Redis that %s is told so, in seconds', async (_, replyTo, detail, remedy) => {
  const server = createTcpServer((socket) => {
    socket.on('error', () => undefined);
    // Commands of several parts may arrive together: each begins with a star.
    socket.on('data', (bytes) => {
      for (const command of bytes.toString().split('*').slice(1)) socket.write(replyTo(command));
    });
  }).listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const address = server.address();
  const port = address !== null && typeof address === 'object' ? address.port : 0;
  const diagnosis = await diagnose({ REDIS_URL: `redis://127.0.0.1:${port}` });
  const redis = diagnosis.findings.find(({ name }) => name === 'Redis');
  expect(redis?.detail).toContain(detail);
  expect(redis?.remedy).toContain(remedy);
  await new Promise((resolve) => server.close(resolve));
});

test('a database that Redis does not have is told, and not left for the first one', async () => {
  await using server = await startRedisServer(shipped);
  const diagnosis = await diagnose({ REDIS_URL: `${server.url}/99` });
  const redis = diagnosis.findings.find(({ name }) => name === 'Redis');
  expect(redis).toMatchObject({ verdict: 'bad', remedy: expect.stringContaining('database') });
});

test('settings that cannot be used are refused by name', () => {
  const source = { env: { PORT: 'x', REDIS_URL: 'http://no' }, flags: new Map<string, string>() };
  const options = parseDoctorOptions(source, false);
  const named = options.ok ? [] : options.error.map(({ setting }) => setting);
  expect(named).toEqual(['PORT', 'REDIS_URL']);
});
