/** The shipped configuration works: Redis boots with its file, and the health check tells the truth. */
import { execFile } from 'node:child_process';
import { createServer } from 'node:http';
import { connect } from 'node:net';
import { liveResources, repositoryPath, startRedisServer } from '@inferry/testkit';
import { afterEach, expect, test } from 'vitest';

afterEach(() => expect(liveResources()).toEqual([]));

/** Replies to inline commands, as one text. */
function ask(port: number, commands: readonly string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect({ port, host: '127.0.0.1' });
    let text = '';
    socket.once('error', reject);
    socket.once('close', () => resolve(text));
    socket.on('data', (chunk: Buffer) => (text += chunk.toString()));
    socket.write([...commands, 'QUIT', ''].join('\r\n'));
  });
}

test('Redis boots with the shipped file, evicts nothing and writes an append-only file', async () => {
  const server = await startRedisServer({ configFile: repositoryPath('infra/redis/redis.conf') });
  try {
    const names = ['maxmemory-policy', 'maxmemory', 'appendonly', 'appendfsync'];
    const text = await ask(
      server.port,
      names.map((name) => `CONFIG GET ${name}`),
    );
    const values = text.split('\r\n').filter((line) => line !== '' && !/^[*$+]/u.test(line));
    const expected = ['noeviction', String(1024 ** 3), 'yes', 'everysec'];
    expect(values).toEqual(names.flatMap((name, i) => [name, expected[i]]));
  } finally {
    await server[Symbol.asyncDispose]();
  }
});

/** Exit status of the health check of the images against `url`. */
function healthcheck(url: string): Promise<number> {
  return new Promise((resolve) => {
    const argv = [repositoryPath('infra/docker/healthcheck.js'), url];
    const child = execFile(process.execPath, argv);
    child.once('close', (code) => resolve(code ?? -1));
  });
}

test('the health check follows the status of the address it is given', async () => {
  const server = createServer((request, response) => {
    response.statusCode = request.url === '/readyz' ? 200 : 503;
    response.end();
  }).listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const address = server.address();
  const port = typeof address === 'object' ? address?.port : undefined;
  const base = `http://127.0.0.1:${port}`;
  expect(await healthcheck(`${base}/readyz`)).toBe(0);
  expect(await healthcheck(`${base}/draining`)).toBe(1);
  await new Promise((resolve) => server.close(resolve));
  expect(await healthcheck(`${base}/readyz`)).toBe(1);
});
