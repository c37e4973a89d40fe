import { EventEmitter, once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { systemClock, VirtualClock } from '@inferry/runtime';
import { afterEach, expect, test } from 'vitest';
import { openHttp } from './http.ts';

const closing: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0)) await close();
});

/** A real server on a free port, and how many connections it got. */
async function serve(answer: (request: IncomingMessage, response: ServerResponse) => void) {
  const sockets = new Set<Socket>();
  const server: Server = createServer(answer);
  server.on('connection', (socket) => sockets.add(socket));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  closing.push(async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });
  return { origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, sockets };
}

function open(connections = 1) {
  const http = openHttp({ clock: systemClock, connections });
  closing.unshift(() => http.close());
  return http;
}

const get = { method: 'GET', path: '/', headers: {}, body: null } as const;

test('body and headers go there and come back, on a connection that is kept', async () => {
  const { origin, sockets } = await serve((request, response) => {
    response.setHeader('X-Was', String(request.headers['x-is']));
    request.pipe(response.writeHead(201));
  });
  const http = open();
  for (const text of ['one', 'two', 'three']) {
    const body = Buffer.from(text);
    const headers = { 'x-is': text };
    const answer = await http.send({ method: 'POST', origin, path: '/x', headers, body }, 5_000);
    if (!answer.ok) throw new Error(answer.error.detail);
    expect(answer.value.status).toBe(201);
    expect(answer.value.header('x-was')).toBe(text);
    expect(answer.value.header('x-nothing')).toBeUndefined();
    expect(Buffer.from(answer.value.body).toString()).toBe(text);
  }
  expect(sockets.size).toBe(1);
});

test('as many requests are open at a time as there are connections', async () => {
  const waiting: ServerResponse[] = [];
  const { origin, sockets } = await serve((_request, response) => {
    waiting.push(response);
    if (waiting.length === 3) for (const one of waiting) one.end('ok');
  });
  const http = open(3);
  const answers = await Promise.all([1, 2, 3].map(() => http.send({ ...get, origin }, 5_000)));
  expect(answers.every(({ ok }) => ok)).toBe(true);
  expect(sockets.size).toBe(3);
});

test('a server that does not answer in time, at all or to the end, is a timeout and is hung up on', async () => {
  const clock = new VirtualClock();
  const arrived = new EventEmitter();
  const { origin } = await serve((request, response) => {
    if (request.url === '/body') response.writeHead(200).write('half of');
    arrived.emit('request', response);
  });
  const http = openHttp({ clock, connections: 2 });
  closing.unshift(() => http.close());
  for (const path of ['/nothing', '/body']) {
    const reached = once(arrived, 'request');
    const sending = http.send({ ...get, origin, path }, 1_000);
    const [response] = (await reached) as [ServerResponse];
    const hungUp = once(response, 'close');
    await clock.advance(1_000);
    expect(await sending).toMatchObject({ ok: false, error: { code: 'timeout' } });
    await hungUp;
  }
});

test('a server that is not there, or hangs up, is a fault that says so', async () => {
  const { origin } = await serve((request) => request.socket.destroy());
  const http = open();
  expect(await http.send({ ...get, origin }, 5_000)).toMatchObject({
    error: { code: 'UND_ERR_SOCKET', detail: expect.stringContaining('closed') },
  });
  await closing.pop()?.();
  expect(await http.send({ ...get, origin }, 5_000)).toMatchObject({
    error: { code: 'ECONNREFUSED', detail: expect.stringContaining('nothing listens') },
  });
});

test('closing ends what is open', async () => {
  const { origin } = await serve(() => undefined);
  const http = openHttp({ clock: systemClock, connections: 1 });
  const answer = http.send({ ...get, origin }, 60_000);
  await http.close();
  expect(await answer).toMatchObject({ ok: false });
});
