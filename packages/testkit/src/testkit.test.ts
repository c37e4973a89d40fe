import { createServer } from 'node:net';
import { existsSync } from 'node:fs';
import { afterEach, expect, test } from 'vitest';
import {
  freePort,
  liveResources,
  registerLive,
  repositoryPath,
  startProcess,
  startRedisServer,
  waitFor,
} from './index.ts';

afterEach(() => expect(liveResources()).toEqual([]));

test('waitFor resolves with the first truthy value', async () => {
  let calls = 0;
  const value = await waitFor(() => (++calls === 3 ? 'third' : undefined), { everyMs: 1 });
  expect([value, calls]).toEqual(['third', 3]);
});

test('waitFor is bounded and tells what it waited for and the last error', async () => {
  const failing = waitFor(
    () => {
      throw new Error('not yet');
    },
    { timeoutMs: 20, everyMs: 5, what: 'the moon' },
  );
  await expect(failing).rejects.toThrow('the moon did not come true within 20 ms');
  await failing.catch((error: Error) => expect((error.cause as Error).message).toBe('not yet'));
});

test('a free port can be listened on', async () => {
  const port = await freePort();
  const server = createServer().listen(port, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  await new Promise((resolve) => server.close(resolve));
});

test('paths are resolved from the root of the repository', () => {
  expect(existsSync(repositoryPath('package-lock.json'))).toBe(true);
  expect(existsSync(repositoryPath('packages', 'testkit', 'package.json'))).toBe(true);
});

test('a resource is live until it says that it stopped', () => {
  const stopped = registerLive('a thing', () => undefined);
  expect(liveResources()).toEqual(['a thing']);
  stopped();
  expect(liveResources()).toEqual([]);
});

test('a missing redis-server is an error that says how to install it', async () => {
  const path = process.env['PATH'];
  process.env['PATH'] = '/nonexistent';
  try {
    await expect(startRedisServer()).rejects.toThrow('ensure-redis');
  } finally {
    process.env['PATH'] = path;
  }
});

test('a process that ends before its line was printed fails the wait with its output', async () => {
  const child = startProcess(['no-such-command']);
  await expect(child.waitForLine(/never printed/u)).rejects.toThrow('the process ended');
  await child.exit;
});
