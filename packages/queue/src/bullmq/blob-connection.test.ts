/** What servers do that are no well-behaved Redis: they take a connection and say nothing, or nothing more. */
import { once } from 'node:events';
import { createServer, type Server, type Socket } from 'node:net';
import { Emitter, invariant, VirtualClock } from '@inferry/runtime';
import { afterEach, expect, test } from 'vitest';
import type { QueueEvents } from '../port.ts';
import { BlobConnection } from './blob-connection.ts';

const noValue = '*1\r\n$-1\r\n';

const opened: (() => void)[] = [];
afterEach(() => {
  for (const close of opened.splice(0)) close();
});

/** The port of a server that answers nothing by itself. */
async function silentServer(): Promise<{ server: Server; port: number }> {
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  opened.push(() => server.close());
  const address = server.address();
  invariant(address !== null && typeof address === 'object', 'the server listens');
  return { server, port: address.port };
}

async function accepted(server: Server): Promise<Socket> {
  const [socket] = (await once(server, 'connection')) as [Socket];
  opened.push(() => socket.destroy());
  socket.on('error', () => undefined);
  return socket;
}

function connect(url: string, clock: VirtualClock) {
  const events = new Emitter<QueueEvents>();
  const states: string[] = [];
  const stands = new Promise<void>((resolve) => {
    events.on('connected', () => {
      states.push('connected');
      resolve();
    });
  });
  events.on('disconnected', () => states.push('disconnected'));
  const blobs = new BlobConnection({ url, prefix: 'unused' }, events, clock);
  opened.push(() => blobs.close());
  return { blobs, stands, states };
}

test('closed while it is being connected, it leaves no socket behind', async () => {
  const { port, server } = await silentServer();
  const { blobs, states } = connect(`rediss://127.0.0.1:${port}`, new VirtualClock());
  // The handshake of TLS waits for an answer.
  const socket = await accepted(server);
  socket.resume();
  const ended = once(socket, 'close');
  const asked = expect(blobs.ping()).rejects.toThrow();
  blobs.close();
  await ended;
  await asked;
  expect(states).toEqual([]);
});

test('a connection that does not come to stand is given up, and nobody waits for the next attempt', async () => {
  const { port, server } = await silentServer();
  const clock = new VirtualClock();
  const { blobs } = connect(`rediss://127.0.0.1:${port}`, clock);
  const asked = expect(blobs.ping()).rejects.toThrow('does not answer');
  await accepted(server);
  await clock.advance(3_000);
  await asked;
  const again = accepted(server);
  await clock.advance(1_000);
  await again;
  await expect(blobs.ping()).rejects.toThrow('does not answer');
});

test('a server that owes a reply and is silent is away, however much is sent to it', async () => {
  const { port, server } = await silentServer();
  const clock = new VirtualClock();
  const { blobs, stands, states } = connect(`redis://127.0.0.1:${port}`, clock);
  const asked = expect(blobs.get(['a'])).rejects.toThrow('does not answer');
  await accepted(server);
  await stands;
  for (let i = 0; i < 4; i += 1) {
    const next = blobs.get([`b${i}`]);
    next.catch(() => undefined);
    await clock.advance(3_000);
  }
  await asked;
  expect(states).toEqual(['connected', 'disconnected']);
});

test('a slow server is waited for as long as it answers now and then', async () => {
  const { port, server } = await silentServer();
  const clock = new VirtualClock();
  const { blobs, stands, states } = connect(`redis://127.0.0.1:${port}`, clock);
  const asked = ['a', 'b', 'c'].map((key) => blobs.get([key]));
  const socket = await accepted(server);
  await stands;
  for (const reply of asked) {
    await clock.advance(8_000);
    socket.write(noValue);
    expect(await reply).toEqual([null]);
  }
  // Nothing is owed any more, for however long.
  await clock.advance(60_000);
  const last = blobs.get(['d']);
  await clock.advance(8_000);
  socket.write(noValue);
  expect(await last).toEqual([null]);
  expect(states).toEqual(['connected']);
});
