/** Images through a socket, in every form and at once: each job has its own bytes. */
import { createHash } from 'node:crypto';
import { connect } from 'node:net';
import { gzipSync } from 'node:zlib';

import { joinBytes } from '@inferry/contracts';
import type { JobQueue } from '@inferry/queue';
import { type Random, seededRandom } from '@inferry/runtime';
import { expect, test } from 'vitest';

import { startWorker, succeeded, testGateway } from './gateway-fixture.test.ts';
import { digits } from './models-fixture.test.ts';

const jobs = '/v1/models/digits/jobs';
const infer = '/v2/models/digits/infer';
const forms = ['json', 'raw', 'multipart', 'tensor', 'binary', 'gzip', 'chunked'] as const;

function digest(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

function requestOf(
  form: (typeof forms)[number],
  image: Uint8Array<ArrayBuffer>,
): RequestInit & { readonly path: string } {
  const base64 = Buffer.from(image).toString('base64');
  const json = { 'Content-Type': 'application/json', Prefer: 'wait=20' };
  const bytes = { ...json, 'Content-Type': 'image/png' };
  switch (form) {
    case 'json':
      return { path: jobs, headers: json, body: `{"input":{"image":{"$b64":"${base64}"}}}` };
    case 'raw':
      return { path: jobs, headers: bytes, body: image };
    case 'chunked':
      return { path: jobs, headers: bytes, body: new Blob([image]).stream(), duplex: 'half' };
    case 'multipart': {
      const body = new FormData();
      body.append('image', new Blob([image]));
      return { path: jobs, headers: { Prefer: 'wait=20' }, body };
    }
    case 'tensor': {
      const tensor = { name: 'image', shape: [1], datatype: 'BYTES', data: [{ b64: base64 }] };
      const body = JSON.stringify({ inputs: [tensor] });
      return { path: infer, headers: json, body };
    }
    case 'binary': {
      const element = new Uint8Array(joinBytes([image]));
      const tensor = { name: 'image', shape: [1], datatype: 'BYTES' };
      const parameters = { binary_data_size: element.length };
      const head = Buffer.from(JSON.stringify({ inputs: [{ ...tensor, parameters }] }));
      const headers = { ...json, 'Inference-Header-Content-Length': String(head.length) };
      return { path: infer, headers, body: new Blob([head, element]) };
    }
    case 'gzip': {
      const headers = { ...bytes, 'Content-Encoding': 'gzip' };
      return { path: jobs, headers, body: new Uint8Array(gzipSync(image)) };
    }
  }
}

/** A gateway, and a worker that answers the digest of an image. Jobs are enqueued so many at a time. */
async function startDigests(together: number) {
  const fixture = testGateway({}, { models: [{ ...digits, queueDepthMax: 100 }] });
  holdBack(fixture.queue, together);
  const { port } = await fixture.gateway.listen({ host: '127.0.0.1', port: 0 });
  const worker = startWorker(fixture.queue, (input) => {
    const image = input.form === 'pipeline' ? input.rows[0]?.['image'] : undefined;
    const label = image instanceof Uint8Array ? digest(image) : 'no image';
    return { ...succeeded, output: { form: 'rows', rows: [{ label }] } };
  });
  const close = async (): Promise<void> => {
    await worker.stop();
    await fixture.close();
  };
  return { port, close };
}

/** The bytes of each differ from those of the others at almost every place. */
function madeImage(i: number, random: Random): Uint8Array<ArrayBuffer> {
  const size = 30_000 + Math.floor(random.unit() * 300_000);
  return new Uint8Array(size).map((_, at) => (at * 31 + i * 7 + (at >> 8)) & 0xff);
}

test('a hundred images at once, in every form, are the images that were sent', async () => {
  const { port, close } = await startDigests(10);
  const random = seededRandom(5);
  const send = async (i: number): Promise<void> => {
    const image = madeImage(i, random);
    const form = forms[i % forms.length] ?? 'raw';
    const { path, ...init } = requestOf(form, image);
    const response = await fetch(`http://127.0.0.1:${port}${path}`, { method: 'POST', ...init });
    expect([form, response.status]).toEqual([form, 200]);
    expect(await response.text()).toContain(digest(image));
  };
  for (let round = 0; round < 2; round += 1) {
    await Promise.all(Array.from({ length: 50 }, (_, i) => send(i)));
  }
  await close();
});

test('images are those that were sent, also among bodies that are cut off, refused or repeated', async () => {
  const { port, close } = await startDigests(5);
  const random = seededRandom(6);
  const send = async (i: number): Promise<void> => {
    const image = madeImage(i, random);
    const url = `http://127.0.0.1:${port}${jobs}`;
    const headers = { 'Content-Type': 'application/json', Prefer: 'wait=20' };
    const init = { method: 'POST', headers: { ...headers, 'Idempotency-Key': `key-${i}` } };
    const base64 = Buffer.from(image).toString('base64');
    const bodyOf = (text: string): string => `{"input":{"image":{"$b64":"${text}"}}}`;
    const isCut = cutOff(port, image);
    const refused = fetch(url, { method: 'POST', headers, body: bodyOf(`${base64}!`) });
    const first = await fetch(url, { ...init, body: bodyOf(base64) });
    expect(await first.text()).toContain(digest(image));
    const again = await fetch(url, { ...init, body: bodyOf(base64) });
    expect(again.headers.get('idempotency-replayed')).toBe('true');
    expect(await again.text()).toContain(digest(image));
    expect((await refused).status).toBe(422);
    await isCut;
  };
  for (let round = 0; round < 2; round += 1) {
    await Promise.all(Array.from({ length: 20 }, (_, i) => send(20 * round + i)));
  }
  await close();
});

/** Sends half of an image, and breaks the connection off. */
function cutOff(port: number, image: Uint8Array): Promise<void> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.on('error', () => undefined);
    socket.on('close', () => resolve());
    socket.write(
      `POST ${jobs} HTTP/1.1\r\nHost: x\r\nContent-Type: image/png\r\nContent-Length: ${image.length}\r\n\r\n`,
    );
    socket.write(image.subarray(0, image.length / 2), () => socket.destroy());
  });
}

/** Jobs are enqueued ten at a time, so that as many requests hold their bodies while others arrive. */
function holdBack(queue: JobQueue, together: number): void {
  const enqueue = queue.enqueue.bind(queue);
  let waiting: (() => void)[] = [];
  queue.enqueue = async (...given) => {
    await new Promise<void>((resolve) => {
      waiting.push(resolve);
      if (waiting.length < together) return;
      for (const proceed of waiting) proceed();
      waiting = [];
    });
    return enqueue(...given);
  };
}
