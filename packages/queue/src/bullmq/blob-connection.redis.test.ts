/** Large values to and from a real Redis, in pieces, at once, and through an outage. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Emitter } from '@inferry/runtime';
import { type RedisServer, startRedisServer, waitFor } from '@inferry/testkit';
import { Redis } from 'ioredis';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import type { QueueEvents } from '../port.ts';
import { BlobConnection } from './blob-connection.ts';

const mebibyte = 1024 * 1024;
let server: RedisServer;
beforeAll(async () => {
  server = await startRedisServer();
});
afterAll(async () => {
  await server[Symbol.asyncDispose]();
});

const opened: BlobConnection[] = [];
afterEach(() => {
  for (const connection of opened.splice(0)) connection.close();
});

function connect(url = server.url): { blobs: BlobConnection; states: string[] } {
  const events = new Emitter<QueueEvents>();
  const states: string[] = [];
  events.on('connected', () => states.push('connected'));
  events.on('disconnected', () => states.push('disconnected'));
  const blobs = new BlobConnection({ url, prefix: 'unused' }, events);
  opened.push(blobs);
  return { blobs, states };
}

function patterned(bytes: number, seed: number): Uint8Array {
  return Uint8Array.from({ length: bytes }, (_, i) => (i * 31 + seed * 17) & 255);
}

test('values come back as they were, in the order of their keys, and what is not there is null', async () => {
  const { blobs } = connect();
  const sizes = [0, 1, 1_000, 65_536, 230_000, 3 * mebibyte];
  const values = sizes.map(patterned);
  await Promise.all(values.map((value, i) => blobs.set(`size:${i}`, [value], 60_000)));
  const found = await blobs.get([...values.map((_, i) => `size:${i}`), 'size:never'].toReversed());
  expect(found[0]).toBeNull();
  for (const [i, value] of values.entries()) {
    expect(Buffer.compare(found[sizes.length - i] ?? Buffer.of(9), value)).toBe(0);
  }
});

test('pieces are one value', async () => {
  const { blobs } = connect();
  const pieces = [patterned(10, 1), new Uint8Array(), patterned(400_000, 2), patterned(3, 3)];
  await blobs.set('pieces', pieces, 60_000);
  const [found] = await blobs.get(['pieces']);
  expect(Buffer.compare(found ?? Buffer.of(), Buffer.concat(pieces))).toBe(0);
});

test('many calls at a time are each answered with their own values', async () => {
  const { blobs } = connect();
  const keys = Array.from({ length: 50 }, (_, i) => `many:${i}`);
  await Promise.all(keys.map((key, i) => blobs.set(key, [patterned(40_000 + i, i)], 60_000)));
  const found = await Promise.all(keys.map((key) => blobs.get([key])));
  for (const [i, [value]] of found.entries()) {
    expect(Buffer.compare(value ?? Buffer.of(), patterned(40_000 + i, i))).toBe(0);
  }
});

test('memory that was given back holds the next large value; the others stay as they were', async () => {
  const { blobs } = connect();
  await Promise.all([1, 2, 3].map((i) => blobs.set(`kept:${i}`, [patterned(100_000, i)], 60_000)));
  const [first, second] = await blobs.get(['kept:1', 'kept:2']);
  if (!first || !second) throw new Error('the values are there');
  blobs.recycle([first]);
  blobs.recycle([first]);
  const [third, again] = await blobs.get(['kept:3', 'kept:1']);
  expect(third?.buffer).toBe(first.buffer);
  expect(again?.buffer).not.toBe(first.buffer);
  expect(Buffer.compare(second, patterned(100_000, 2))).toBe(0);
  expect(Buffer.compare(third ?? Buffer.of(), patterned(100_000, 3))).toBe(0);
});

test('a value is gone when its life is over, or when it is unlinked', async () => {
  const { blobs } = connect();
  await blobs.set('short', [patterned(10, 1)], 1);
  await waitFor(async () => (await blobs.get(['short']))[0] === null);
  await blobs.set('long', [patterned(10, 1)], 60_000);
  await blobs.unlink('long');
  expect(await blobs.get(['long'])).toEqual([null]);
});

test('user, password and database of the URL are used; a wrong password is said', async () => {
  const admin = new Redis(server.url, { db: 3 });
  await admin.call('ACL', 'SETUSER', 'app', 'on', '>p@ss', '~*', '+@all');
  const url = `redis://app:p%40ss@127.0.0.1:${server.port}/3`;
  const { blobs } = connect(url);
  await blobs.set('mine', [Buffer.from('x')], 60_000);
  expect(await admin.get('mine')).toBe('x');
  admin.disconnect();
  await expect(connect(url.replace('p%40ss', 'wrong')).blobs.ping()).rejects.toThrow('WRONGPASS');
});

test('a socket of the file system is a way to Redis too', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'inferry-socket-'));
  const path = join(directory, 'redis.sock');
  const own = await startRedisServer({ extraArguments: ['--unixsocket', path] });
  const { blobs } = connect(`unix://${path}?db=1`);
  await blobs.set('local', [patterned(300_000, 5)], 60_000);
  const admin = new Redis(own.url, { db: 1 });
  expect(await admin.strlen('local')).toBe(300_000);
  admin.disconnect();
  const [found] = await blobs.get(['local']);
  expect(Buffer.compare(found ?? Buffer.of(), patterned(300_000, 5))).toBe(0);
  await own[Symbol.asyncDispose]();
  await rm(directory, { recursive: true });
});

test('what Redis refuses is told in its words, and the connection goes on', async () => {
  const { blobs } = connect();
  await expect(blobs.set('life', [Buffer.from('x')], -1)).rejects.toThrow('invalid expire');
  await blobs.ping();
});

test('while Redis is away calls fail at once; when it is back they are answered again', async () => {
  const own = await startRedisServer();
  const { blobs, states } = connect(own.url);
  await blobs.ping();
  await own.stop('SIGKILL');
  await waitFor(() => states.includes('disconnected'));
  await expect(blobs.get(['x'])).rejects.toThrow();
  await own.start();
  await waitFor(() => states.at(-1) === 'connected');
  expect(await blobs.get(['x'])).toEqual([null]);
  await own[Symbol.asyncDispose]();
});
