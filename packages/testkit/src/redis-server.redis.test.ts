import { existsSync } from 'node:fs';
import { connect } from 'node:net';
import { afterEach, expect, test } from 'vitest';
import { liveResources } from './live-resources.ts';
import { type RedisServer, startRedisServer } from './redis-server.ts';

const started: RedisServer[] = [];
afterEach(async () => {
  await Promise.all(started.splice(0).map((server) => server[Symbol.asyncDispose]()));
  expect(liveResources()).toEqual([]);
});

async function start(options?: Parameters<typeof startRedisServer>[0]): Promise<RedisServer> {
  const server = await startRedisServer(options);
  started.push(server);
  return server;
}

/** Sends one inline command and resolves with the first chunk of the reply. */
function command(port: number, line: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect({ port, host: '127.0.0.1' }, () => socket.write(`${line}\r\n`));
    socket.once('error', reject);
    socket.once('data', (chunk: Buffer) => {
      socket.destroy();
      resolve(chunk.toString());
    });
  });
}

test('a started server answers and never evicts', async () => {
  const server = await start();
  expect(await command(server.port, 'PING')).toBe('+PONG\r\n');
  expect(await command(server.port, 'CONFIG GET maxmemory-policy')).toContain('noeviction');
  expect(liveResources()).toEqual([`redis-server on port ${server.port}`]);
});

test('two servers share neither port nor directory', async () => {
  const [first, second] = await Promise.all([start(), start()]);
  expect(first.port).not.toBe(second.port);
  expect(first.directory).not.toBe(second.directory);
});

test('a server with an append-only file keeps its data over a restart, also after SIGKILL', async () => {
  const server = await start({ appendonly: 'always' });
  const pidBefore = server.pid;
  await command(server.port, 'SET kept yes');
  await server.restart('SIGKILL');
  expect(server.pid).not.toBe(pidBefore);
  expect(await command(server.port, 'GET kept')).toBe('$3\r\nyes\r\n');
});

test('a stopped server is not counted as running and starts again on its port', async () => {
  const server = await start();
  await server.stop();
  expect(liveResources()).toEqual([]);
  expect(() => server.pid).toThrow('stopped');
  await server.start();
  expect(await command(server.port, 'PING')).toBe('+PONG\r\n');
});

test('disposing of a server removes its directory', async () => {
  const server = await start();
  expect(existsSync(server.directory)).toBe(true);
  await server[Symbol.asyncDispose]();
  expect(existsSync(server.directory)).toBe(false);
});

test('a server that cannot start says why', async () => {
  await expect(start({ extraArguments: ['--no-such-option', '1'] })).rejects.toThrow(
    'redis-server did not start',
  );
  const first = await start();
  await expect(start({ port: first.port })).rejects.toThrow('Address already in use');
});
