import { readdir, readFile, rm, stat } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { ok, systemClock } from '@inferry/runtime';
import { freePort, repositoryPath, waitFor } from '@inferry/testkit';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { fetchPart } from './download.ts';
import {
  type Answer,
  breakingAfter,
  type FileServer,
  serving,
  startFileServer,
} from './file-server.fixture.ts';
import { PullPlace, type Pulled, sha256 } from './pull.fixture.ts';

const iris = await readFile(repositoryPath('models/iris/1/model.onnx'));
const changed = Buffer.from(iris);
changed[changed.length - 1] = 255 - (changed.at(-1) ?? 0);
const digest = { sha256: sha256(iris) };

let place: PullPlace;
let server: FileServer;
beforeEach(async () => {
  place = await PullPlace.make();
  server = await startFileServer();
});
afterEach(async () => {
  await server.close();
  await place.remove();
});

function pull(flags: Record<string, string> = digest, idleMs?: number): Promise<Pulled> {
  return place.pull(`${server.url}/files/iris.onnx?token=secret`, flags, idleMs);
}

function answers(...all: readonly Answer[]): void {
  server.answer = (response, asked, nth) => (all[nth] ?? all.at(-1))?.(response, asked, nth);
}

/** What a client had in memory when the connection broke may be lost; this is what lies on disk. */
async function hasArrived(bytes: number): Promise<void> {
  const folder = join(place.models, '.inferry', 'partial');
  await waitFor(async () => {
    const name = (await readdir(folder)).find((one) => one.endsWith('.partial'));
    return name !== undefined && (await stat(join(folder, name))).size === bytes;
  });
}

const dropped: Answer = (response) => void response.destroy();

function ranges(): readonly (string | undefined)[] {
  return server.asked.map(({ headers }) => headers.range);
}

test('a file takes the place of no other, as one would whose name differs in case alone', async () => {
  const bytes = async function* (): AsyncGenerator<Uint8Array> {
    yield iris;
  };
  const opened = { from: 0, totalBytes: iris.length, validator: null, close: () => undefined };
  const source = {
    shown: 'x',
    id: 'x',
    open: async () => ok({ ...opened, bytes: bytes() }),
    problemOf: () => undefined,
  };
  const wanted = { source, sha256: null, folder: join(place.folder, 'partial'), bytesMax: 10_000 };
  const quiet = { clock: systemClock, complain: () => undefined, progress: () => undefined };
  const part = await fetchPart(wanted, quiet);
  if (!part.ok) throw new Error(part.error);
  const into = join(await place.write('own', { 'Model.onnx': 'first' }), 'Model.onnx');
  await expect(part.value.take(into)).rejects.toThrow(/EEXIST: .* upper and lower case aside/u);
  expect(await readFile(into, 'utf8')).toBe('first');
});

describe('a file that arrives in the end', () => {
  afterEach(async () => {
    expect(await place.landed()).toEqual(['iris/1/model.onnx']);
    expect(await readFile(join(place.models, 'iris/1/model.onnx'))).toEqual(iris);
  });

  test('in one go', async () => {
    server.answer = serving(iris);
    const out = `${place.models}/iris/1\nsha256 ${digest.sha256}\n`;
    expect(await pull()).toEqual({ code: 0, out, told: '' });
    expect(ranges()).toEqual([undefined]);
  });

  test('as an archive', async () => {
    const bytes = await readFile(await place.archive('x.tgz', { 'model.onnx': iris }));
    server.answer = serving(bytes);
    const pulled = await place.pull(`${server.url}/iris.tar.gz`, { sha256: sha256(bytes) });
    expect(pulled).toMatchObject({ code: 0, told: '' });
  });

  test('over a connection that breaks twice: each time only the rest is asked for', async () => {
    answers(
      breakingAfter(100, iris, hasArrived),
      breakingAfter(50, iris, hasArrived),
      serving(iris),
    );
    expect(await pull()).toMatchObject({ code: 0 });
    expect(ranges()).toEqual([undefined, 'bytes=100-', 'bytes=150-']);
  });

  test('by the same command again, after the server was away', async () => {
    answers(breakingAfter(100, iris, hasArrived), dropped);
    const first = await pull();
    expect(first.code).toBe(1);
    expect(first.told).toMatch(/6 times tried; 100 bytes are kept, the same command goes on\n$/u);
    server.answer = serving(iris);
    expect(await pull()).toMatchObject({ code: 0, told: '' });
    expect(ranges().at(-1)).toBe('bytes=100-');
  });

  test('from its beginning where the server ignores Range, or has another file meanwhile', async () => {
    answers(breakingAfter(100, changed, hasArrived), (response) => void response.end(iris));
    expect(await pull()).toMatchObject({ code: 0 });
    expect(ranges()).toEqual([undefined, 'bytes=100-']);
  });

  test('from its beginning where the server has no strong ETag', async () => {
    answers(breakingAfter(100, iris, hasArrived, 'W/"1"'), serving(iris));
    expect(await pull()).toMatchObject({ code: 0 });
    expect(ranges()).toEqual([undefined, undefined]);
  });

  test.each([
    ['416', (response) => void response.writeHead(416).end()],
    [
      'another range than the one that was asked for',
      (response) =>
        void response
          .writeHead(206, { 'content-range': `bytes 0-9/${iris.length}` })
          .end('0123456789'),
    ],
  ] satisfies [string, Answer][])('from its beginning after %s', async (_, odd) => {
    answers(breakingAfter(100, iris, hasArrived), odd, serving(iris));
    expect(await pull()).toMatchObject({ code: 0 });
    expect(ranges()).toEqual([undefined, 'bytes=100-', undefined]);
  });

  test('after an error of the server that passes', async () => {
    answers((response) => void response.writeHead(503).end(), serving(iris));
    const { code, told } = await pull();
    expect([code, told]).toEqual([0, 'inferry: answered 503 after 0 bytes; trying again\n']);
  });

  test('after silence in the middle', async () => {
    const silent: Answer = (response) => {
      response.writeHead(200, { 'content-length': iris.length, etag: '"1"' });
      response.write(iris.subarray(0, 100));
    };
    answers(silent, serving(iris));
    const { code, told } = await pull(digest, 300);
    expect(code).toBe(0);
    expect(told).toContain('no byte for 300 ms (ETIMEDOUT) after 100 bytes; trying again');
    expect(ranges()).toEqual([undefined, 'bytes=100-']);
  });

  test('from a server that closes its side while much is still on its way to the disk', async () => {
    const noise = Buffer.alloc(8 * 1024 ** 2, 'noise');
    const bytes = await readFile(await place.archive('x.tar', { '1/model.onnx': iris, noise }));
    // As HTTP/1.0 does: everything at once, and the end of the connection behind it.
    const plain = createServer((socket) => {
      socket.on('error', () => undefined);
      socket.once('data', () => {
        socket.write(`HTTP/1.0 200 OK\r\nContent-Length: ${bytes.length}\r\n\r\n`);
        socket.end(bytes);
      });
    }).listen(0, '127.0.0.1');
    await new Promise((resolve) => void plain.once('listening', resolve));
    const address = plain.address();
    const port = typeof address === 'object' ? address?.port : undefined;
    const pulled = await place.pull(`http://127.0.0.1:${port}/iris.tar`, { sha256: sha256(bytes) });
    plain.close();
    expect(pulled).toMatchObject({ code: 0, told: '' });
    await rm(join(place.models, 'iris/noise'));
  });

  test('after redirects', async () => {
    answers(
      (response) => void response.writeHead(302, { location: '/elsewhere' }).end('moved'),
      (response) => void response.writeHead(307, { location: `${server.url}/there` }).end(),
      serving(iris),
    );
    expect(await pull()).toMatchObject({ code: 0, told: '' });
    expect(server.asked.map(({ path }) => path)).toEqual([
      '/files/iris.onnx?token=secret',
      '/elsewhere',
      '/there',
    ]);
  });

  test('whatever it is, where no digest was wanted', async () => {
    server.answer = serving(iris);
    const pulled = await pull({ 'insecure-no-digest': '' });
    expect(pulled.out).toContain(`sha256 ${digest.sha256}\n`);
  });
});

describe('a file that is refused leaves nothing', () => {
  let pulled: Pulled;
  afterEach(async () => {
    expect(pulled.code).toBe(1);
    expect(pulled.told).not.toContain('secret');
    expect(await place.landed()).toEqual([]);
  });

  test('with another digest, also when it was put together of two', async () => {
    answers(breakingAfter(100, iris, hasArrived), serving(changed));
    pulled = await pull();
    expect(pulled.told).toContain(
      `/files/iris.onnx: the SHA-256 is ${sha256(changed)}, not the ${digest.sha256} that was asked for`,
    );
  });

  test('by the server, at once', async () => {
    server.answer = (response) => void response.writeHead(403).end('no');
    pulled = await pull();
    expect(pulled.told).toBe(`inferry: ${server.url}/files/iris.onnx: answered 403\n`);
    expect(server.asked).toHaveLength(1);
  });

  test('as too large by its Content-Length, before a byte is read', async () => {
    server.answer = (response) =>
      response.writeHead(200, { 'content-length': 3 * 1024 ** 3 }).flushHeaders();
    pulled = await pull({ ...digest, 'max-gib': '2' });
    expect(pulled.told).toContain('is larger than 2147483648 bytes (--max-gib)');
  });

  test('as it was sent with a Content-Encoding', async () => {
    server.answer = (response) =>
      void response.writeHead(200, { 'content-encoding': 'gzip' }).end();
    pulled = await pull();
    expect(pulled.told).toContain('Content-Encoding');
  });

  test.each([
    ['/again', 'was redirected more than 5 times', 6],
    ['ftp://127.0.0.1/x', 'was redirected from http: to ftp:', 1],
    ['http://', 'was redirected without a valid Location', 1],
  ])('after a redirect to %s', async (location, told, times) => {
    server.answer = (response) => void response.writeHead(301, { location }).end();
    pulled = await pull();
    expect(pulled.told).toContain(told);
    expect(server.asked).toHaveLength(times);
  });

  test('where the server takes the request and never answers', async () => {
    server.answer = () => undefined;
    pulled = await pull(digest, 200);
    expect(pulled.told).toMatch(/no byte for 200 ms \(ETIMEDOUT\), 5 times tried\n$/u);
  });

  test('where nobody listens', async () => {
    const url = `http://127.0.0.1:${await freePort()}/iris.onnx`;
    pulled = await place.pull(url, digest);
    expect(pulled.told).toContain('ECONNREFUSED), 5 times tried');
  });

  test('where no HTTP is spoken', async () => {
    const odd = createServer((socket) => void socket.end('220 ready\r\n')).listen(0, '127.0.0.1');
    await new Promise((resolve) => void odd.once('listening', resolve));
    const address = odd.address();
    const port = typeof address === 'object' ? address?.port : undefined;
    pulled = await place.pull(`http://127.0.0.1:${port}/iris.onnx`, digest);
    odd.close();
    expect(pulled.told).toContain('5 times tried');
  });
});

test('a second pull of the same URL is refused while the first one fetches', async () => {
  let finish: () => void = () => undefined;
  const begun = new Promise<void>((resolve) => {
    server.answer = (response, asked) => {
      finish = () => serving(iris)(response, asked, 0);
      resolve();
    };
  });
  const first = pull();
  await begun;
  expect((await pull()).told).toContain('another process is fetching the same URL');
  finish();
  expect(await first).toMatchObject({ code: 0 });
});
