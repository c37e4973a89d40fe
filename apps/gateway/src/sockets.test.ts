import { connect, type Socket } from 'node:net';

import type { Limits } from '@inferry/contracts';
import { afterEach, describe, expect, test, vi } from 'vitest';

import {
  claimRequest,
  startWorker,
  type TestGateway,
  testGateway,
} from './gateway-fixture.test.ts';

let gateway: TestGateway;
let close: (() => Promise<void>) | undefined;
afterEach(async () => {
  await close?.();
  close = undefined;
});

async function start(limits: Partial<Limits> = {}): Promise<{ port: number; url: string }> {
  gateway = testGateway(limits);
  close = () => gateway.close();
  const { port } = await gateway.gateway.listen({ host: '127.0.0.1', port: 0 });
  return { port, url: `http://127.0.0.1:${port}` };
}

/** Sends bytes and reads until the server closes the connection. */
function exchange(port: number, write: (socket: Socket) => void): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1', () => write(socket));
    let text = '';
    socket.on('data', (chunk) => (text += chunk.toString()));
    socket.on('close', () => resolve(text));
    socket.on('error', (cause: NodeJS.ErrnoException) => {
      if (cause.code !== 'EPIPE' && cause.code !== 'ECONNRESET') reject(cause);
    });
  });
}

function parse(text: string): { head: string; body: Record<string, unknown> } {
  const [head = '', body = ''] = text.split('\r\n\r\n');
  return { head, body: JSON.parse(body) as Record<string, unknown> };
}

const head = 'POST /v1/models/iris/jobs HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n';
const body = '{"input":{"length":1,"width":2}}';

describe('a connection', () => {
  test('that sends its body too slowly is cut with a problem document', async () => {
    const { port } = await start({ requestReceiveMsMax: 100 });
    const text = await exchange(port, (socket) =>
      socket.write(`${head}Content-Length: 9\r\n\r\n{`),
    );
    const answer = parse(text);
    expect(answer.head).toMatch(/^HTTP\/1.1 408 /u);
    expect(answer.head).toContain('application/problem+json');
    expect(answer.body).toMatchObject({ code: 'request_timeout', status: 408 });
  });

  test('whose headers are too large gets a problem document', async () => {
    const { port } = await start({ headerBytesMax: 2048 });
    const text = await exchange(port, (socket) =>
      socket.write(`${head}X-Large: ${'x'.repeat(4000)}\r\n\r\n`),
    );
    expect(parse(text).body).toMatchObject({ code: 'headers_too_large', limit_bytes: 2048 });
    expect(text).toMatch(/^HTTP\/1.1 431 [\s\S]*Request-Id: req_/u);
  });

  test('that does not speak HTTP gets a problem document', async () => {
    const { port } = await start();
    const text = await exchange(port, (socket) => socket.write('hello\r\n\r\n'));
    expect(parse(text).body).toMatchObject({ code: 'invalid_header', status: 400 });
    const host = await exchange(port, (socket) =>
      socket.write('GET /livez HTTP/1.1\r\nHost: a b\r\nConnection: close\r\n\r\n'),
    );
    expect(parse(host).body).toMatchObject({ code: 'invalid_header', status: 400 });
  });

  test.each([
    ['names no host', 'GET /livez HTTP/1.1\r\n', 'invalid_header'],
    ['wants to be a tunnel', 'CONNECT x:80 HTTP/1.1\r\nHost: x\r\n', 'method_not_allowed'],
    [
      'expects what is not known',
      'GET /no HTTP/1.1\r\nHost: x\r\nExpect: more\r\n',
      'route_not_found',
    ],
  ])('that %s gets a problem document', async (_, lines, code) => {
    const { port } = await start();
    const text = await exchange(port, (socket) =>
      socket.write(`${lines}Connection: close\r\n\r\n`),
    );
    expect(parse(text).head).toContain('application/problem+json');
    expect(parse(text).body).toMatchObject({ code, request_id: expect.stringMatching(/^req_/u) });
  });

  test('of HTTP/1.0 need not name a host', async () => {
    const { port } = await start();
    const text = await exchange(port, (socket) => socket.write('GET /livez HTTP/1.0\r\n\r\n'));
    expect(parse(text)).toMatchObject({
      head: expect.stringContaining(' 200 '),
      body: { live: true },
    });
  });

  test('that sends more than the limit without end gets its answer and is cut', async () => {
    const { port } = await start({ bodyBytesMax: 1000 });
    const chunk = `400\r\n${'x'.repeat(0x400)}\r\n`;
    const text = await exchange(port, (socket) => {
      const send = (): void => {
        if (socket.writable) socket.write(chunk, () => setImmediate(send));
      };
      socket.write(`${head}Transfer-Encoding: chunked\r\n\r\n`, send);
    });
    expect(parse(text).body).toMatchObject({ code: 'payload_too_large', limit_bytes: 1000 });
  });

  test('has no room for its body while too many bytes of others are on their way', async () => {
    const { port } = await start({ bodyBytesMax: 1_000 });
    const unfinished = `${head}Content-Length: 1000\r\n\r\n${'x'.repeat(999)}`;
    const others = Array.from({ length: 65 }, () => connect(port, '127.0.0.1'));
    const refused = new Promise<string>((resolve) => {
      for (const socket of others) {
        socket.on('error', () => undefined);
        socket.on('data', (chunk) => resolve(chunk.toString()));
        socket.write(unfinished);
      }
    });
    expect(parse(await refused).body).toMatchObject({ code: 'queue_full', retryable: true });
    for (const socket of others) socket.destroy();
    const padded = body.padEnd(1_000);
    await vi.waitFor(async () => {
      const text = await exchange(port, (socket) =>
        socket.write(`${head}Connection: close\r\nContent-Length: 1000\r\n\r\n${padded}`),
      );
      expect(text).toMatch(/^HTTP\/1.1 202 /u);
    });
  });

  test('that announces more than the limit is refused before it sends', async () => {
    const { port } = await start({ bodyBytesMax: 1000 });
    const text = await exchange(port, (socket) =>
      socket.write(`${head}Content-Length: 5000\r\n\r\n`),
    );
    expect(parse(text).body).toMatchObject({ code: 'payload_too_large', limit_bytes: 1000 });
  });

  test('that is closed by its caller cancels the infer job it waits for', async () => {
    const { url } = await start();
    const gone = new AbortController();
    const tensor = { name: 'features', datatype: 'FP32', shape: [1, 2], data: [1, 2] };
    const asked = fetch(`${url}/v2/models/iris/infer`, {
      method: 'POST',
      body: JSON.stringify({ inputs: [tensor] }),
      signal: gone.signal,
    });
    const id = await enqueuedJob();
    gone.abort();
    await expect(asked).rejects.toThrow('aborted');
    const record = await gateway.queue.outcome(id, AbortSignal.timeout(5000));
    expect(record?.status).toBe('canceled');
  });
});

test('a request goes all the way through a socket, more than once on a connection', async () => {
  const { url } = await start();
  const worker = startWorker(gateway.queue);
  for (let i = 0; i < 3; i += 1) {
    const response = await fetch(`${url}/v1/models/iris/jobs`, {
      method: 'POST',
      body,
      headers: { 'Content-Type': 'application/json', Prefer: 'wait=5' },
    });
    expect(await response.json()).toMatchObject({ status: 'succeeded', output: { label: '7' } });
  }
  await worker.stop();
});

describe('a drain', () => {
  const submitInit = {
    method: 'POST',
    body,
    headers: { 'Content-Type': 'application/json', Prefer: 'wait=20' },
  };
  const tensor = { name: 'features', datatype: 'FP32', shape: [1, 2], data: [1, 2] };
  const inferInit = { method: 'POST', body: JSON.stringify({ inputs: [tensor] }) };

  test('answers held waits, refuses new work, and ends when no request is open', async () => {
    const { url } = await start({ drainMs: 10 });
    const held = fetch(`${url}/v1/models/iris/jobs`, submitInit);
    const infer = fetch(`${url}/v2/models/iris/infer`, inferInit);
    await waiting(2);
    const drained = gateway.gateway.drain();
    expect((await held).status).toBe(202);
    const refused = await infer;
    expect([refused.status, (await refused.json()) as object]).toMatchObject([
      503,
      { code: 'draining' },
    ]);
    await drained;

    for (const [path, init] of [
      ['/v1/models/iris/jobs', submitInit],
      ['/v2/models/iris/infer', inferInit],
      ['/readyz', {}],
    ] as const) {
      const response = await fetch(`${url}${path}`, init);
      expect([path, response.status, response.headers.get('retry-after')]).toEqual([
        path,
        503,
        '1',
      ]);
      expect(await response.json()).toMatchObject({ code: 'draining' });
    }
    expect(gateway.gateway.readiness().ready).toBe(false);
    expect((await fetch(`${url}/livez`)).status).toBe(200);
  });

  test('leaves infer requests the time to get their results', async () => {
    const { url } = await start();
    const infer = fetch(`${url}/v2/models/iris/infer`, inferInit);
    await waiting(1);
    const drained = gateway.gateway.drain();
    const worker = startWorker(gateway.queue);
    expect((await infer).status).toBe(200);
    await drained;
    await worker.stop();
  });
});

/** Resolves once so many requests are held. */
async function waiting(count: number): Promise<void> {
  await expect
    .poll(async () => /^inferry_result_waiters (\d+)$/mu.exec(await gateway.metrics.text())?.[1], {
      interval: 5,
    })
    .toBe(String(count));
  await expect
    .poll(async () => (await gateway.queue.stats(['iris@1' as never]))[0]?.waiting, { interval: 5 })
    .toBe(count);
}

/** The id of the one job in the queue: it is claimed and given back. */
async function enqueuedJob() {
  await waiting(1);
  const { claims } = await gateway.queue.claim('iris@1' as never, claimRequest);
  const [claim] = claims;
  if (claim === undefined) throw new Error('no job waits');
  await gateway.queue.giveBack('iris@1' as never, claims, false);
  return claim.job.id;
}
