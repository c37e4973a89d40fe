/** The gRPC inference service of a gateway on a real port, called as clients call it. */
import { connect, type ClientHttp2Session } from 'node:http2';

import { Metadata, status } from '@grpc/grpc-js';
import { waitFor } from '@inferry/testkit';
import { expect, test } from 'vitest';

import { succeeded } from '../gateway-fixture.test.ts';
import {
  callUnary,
  closing,
  field,
  image,
  openGrpc,
  service,
  type Told,
  workFor,
} from './grpc-fixture.test.ts';

const nothing = Buffer.alloc(0);

test('an infer request becomes a job, and its outcome the answer', async () => {
  const fixture = await openGrpc();
  const { seen } = workFor(fixture);
  const { answer, trailers } = await fixture.call('ModelInfer', image(), { 'request-id': 'mine' });
  const text = String(answer);
  for (const part of ['digits', 'q1', 'output', '{"label":"7"}']) expect(text).toContain(part);
  expect(trailers.get('request-id')).toEqual(['mine']);
  expect(trailers.get('job-id')).toEqual([seen[0]?.claim.job.id]);
  expect(seen[0]?.claim.job.requestId).toBe('mine');
  expect(seen[0]?.input).toMatchObject({ form: 'pipeline' });
  const metrics = await fixture.metrics.text();
  const route = `route="${service}/ModelInfer"`;
  expect(metrics).toContain(`method="POST",${route},code="200"`);
  expect(metrics).toMatch(/admission_total\{model="digits",decision="accepted",reason="none"\} 1/u);
});

test.each([
  ['a model that nobody knows', image('q', 'nobody'), status.NOT_FOUND, 'model_not_found'],
  ['an input that is missing', field(1, 'digits'), status.INVALID_ARGUMENT, 'invalid_input'],
  ['bytes that are no message', Buffer.of(10, 200), status.INVALID_ARGUMENT, 'invalid_input'],
])('%s is refused with its code, and words', async (_, message, code, name) => {
  const fixture = await openGrpc();
  const { error, trailers } = await fixture.call('ModelInfer', message);
  expect(error?.code).toBe(code);
  expect(error?.details).not.toBe('');
  expect(trailers.get('inferry-code')).toEqual([name]);
});

test('a character that is cut where it is quoted is no error of the server', async () => {
  const fixture = await openGrpc();
  const cut = `${'a'.repeat(127)}\u{1f600}`;
  const { error, trailers } = await fixture.call('ModelMetadata', field(1, cut));
  expect(error?.code).toBe(status.NOT_FOUND);
  expect(error?.details).toContain('aaa\ufffd...');
  expect(trailers.get('inferry-code')).toEqual(['model_not_found']);
});

test('load is refused as over HTTP: no place to wait is UNAVAILABLE, with the time to come back', async () => {
  const fixture = await openGrpc({ heldRequestsMax: 1 });
  const first = fixture.call('ModelInfer', image());
  await waitFor(async () => (await fixture.metrics.text()).includes('result_waiters 1'), {
    what: 'the first to wait',
  });
  const { error, trailers } = await fixture.call('ModelInfer', image());
  expect(error?.code).toBe(status.UNAVAILABLE);
  expect(trailers.get('inferry-code')).toEqual(['queue_full']);
  expect(trailers.get('retry-after-ms')).toEqual(['1000']);
  workFor(fixture);
  expect((await first).error).toBeNull();
});

test('a call that is canceled cancels its job', async () => {
  const fixture = await openGrpc();
  const call = callUnary(fixture.client, 'ModelInfer', { message: image() }, () => undefined);
  const canceled = 'requests_total{model="digits",priority="normal",outcome="canceled"} 1';
  await waitFor(async () => (await fixture.metrics.text()).includes('result_waiters 1'), {
    what: 'the call to wait',
  });
  call.cancel();
  await waitFor(async () => (await fixture.metrics.text()).includes(canceled), {
    what: 'the job to be canceled',
  });
});

test('the deadline of a call is that of its job, where it is nearer', async () => {
  const fixture = await openGrpc();
  const { seen } = workFor(fixture);
  const deadline = Date.now() + 10_000;
  expect((await fixture.call('ModelInfer', image(), {}, { deadline })).error).toBeNull();
  const deadlineMs = seen[0]?.claim.job.deadlineMs;
  expect(deadlineMs).toBeGreaterThan(0);
  expect(deadlineMs).toBeLessThanOrEqual(10_000);
});

test('a call whose deadline passes has a job that expires, and is not canceled', async () => {
  const fixture = await openGrpc();
  const deadline = Date.now() + 1_000;
  const { error } = await fixture.call('ModelInfer', image(), {}, { deadline });
  expect(error?.code).toBe(status.DEADLINE_EXCEEDED);
  const expired = 'requests_total{model="digits",priority="normal",outcome="expired"} 1';
  await waitFor(async () => (await fixture.metrics.text()).includes(expired), {
    what: 'the job to expire',
  });
});

test('tenants are told by metadata, and one that nobody knows is refused', async () => {
  const fixture = await openGrpc({}, { tenants: new Map([['acme', 3]]) });
  const { seen } = workFor(fixture);
  await fixture.call('ModelInfer', image(), { 'inferry-tenant': 'acme' });
  expect(seen[0]?.claim.job.tenant).toBe('acme');
  const { error } = await fixture.call('ModelInfer', image(), { 'inferry-tenant': 'nobody' });
  expect(error?.code).toBe(status.INVALID_ARGUMENT);
});

test('a message beyond the limit of bodies is refused, whatever is in it', async () => {
  const fixture = await openGrpc({ bodyBytesMax: 2_000 });
  const { error } = await fixture.call('ModelInfer', Buffer.alloc(3_000));
  expect(error?.code).toBe(status.RESOURCE_EXHAUSTED);
});

test('a server that drains answers what waits, and refuses what comes', async () => {
  const fixture = await openGrpc();
  const waiting = fixture.call('ModelInfer', image());
  await waitFor(async () => (await fixture.metrics.text()).includes('result_waiters 1'), {
    what: 'the call to wait',
  });
  const drained = fixture.gateway.drain();
  const late = await fixture.call('ModelInfer', image());
  expect(late.error?.code).toBe(status.UNAVAILABLE);
  expect(late.trailers.get('inferry-code')).toEqual(['draining']);
  workFor(fixture);
  expect((await waiting).error).toBeNull();
  await drained;
});

test('what is not served says why, and what nobody knows is unknown', async () => {
  const fixture = await openGrpc();
  const memory = await fixture.call('SystemSharedMemoryStatus', nothing);
  expect(memory.error?.code).toBe(status.UNIMPLEMENTED);
  expect(memory.error?.details).toContain('models run in other processes');
  expect((await fixture.call('Nothing', nothing)).error?.code).toBe(status.UNIMPLEMENTED);
});

test('questions about the server and its models are answered', async () => {
  const fixture = await openGrpc();
  const ask = async (method: string, message: Uint8Array = nothing): Promise<Told> =>
    fixture.call(method, message);
  expect([...((await ask('ServerLive')).answer ?? [])]).toEqual([8, 1]);
  expect([...((await ask('ServerReady')).answer ?? [])]).toEqual([8, 1]);
  // False is what a message without fields says.
  expect((await ask('ModelReady', field(1, 'digits'))).answer).toEqual(nothing);
  expect((await ask('ModelReady', field(1, 'nobody'))).answer).toEqual(nothing);
  expect(String((await ask('ServerMetadata')).answer)).toContain('9.9.9');
  expect(String((await ask('ModelMetadata', field(1, 'digits'))).answer)).toContain('pixels');
  expect((await ask('ModelMetadata', field(1, 'nobody'))).error?.code).toBe(status.NOT_FOUND);
  expect(String((await ask('ModelConfig', field(1, 'digits'))).answer)).toContain('pixels');
  expect(String((await ask('RepositoryIndex')).answer)).toContain('UNAVAILABLE');
  expect((await ask('RepositoryIndex', Buffer.of(16, 1))).answer).toEqual(nothing);
});

test('a stream answers each request in its order, also those that fail', async () => {
  const fixture = await openGrpc();
  // The later a request comes, the sooner it is done.
  let left = 4;
  workFor(fixture, async () => {
    left -= 1;
    await new Promise((resolve) => setTimeout(resolve, left * 20));
    return succeeded;
  });
  const answers: string[] = [];
  const stream = fixture.client.makeBidiStreamRequest(
    `${service}/ModelStreamInfer`,
    (bytes: Buffer) => bytes,
    (bytes: Buffer) => bytes,
    new Metadata(),
  );
  stream.on('data', (bytes: Buffer) => answers.push(bytes.toString('latin1')));
  const ended = new Promise((resolve) => stream.on('end', resolve));
  for (const id of ['id-a', 'id-b']) stream.write(image(id));
  stream.write(image('id-c', 'nobody'));
  stream.write(image('id-d'));
  stream.end();
  await ended;
  const ids = answers.map((answer) => /id-[a-d]/u.exec(answer)?.[0]);
  expect(ids).toEqual(['id-a', 'id-b', 'id-c', 'id-d']);
  expect(answers[2]).toContain('nobody');
});

test('a stream that is canceled cancels what it waits for', async () => {
  const fixture = await openGrpc();
  const stream = fixture.client.makeBidiStreamRequest(
    `${service}/ModelStreamInfer`,
    (bytes: Buffer) => bytes,
    (bytes: Buffer) => bytes,
    new Metadata(),
  );
  stream.on('error', () => undefined);
  stream.write(image('a'));
  stream.write(image('b'));
  await waitFor(async () => (await fixture.metrics.text()).includes('result_waiters 2'), {
    what: 'both to wait',
  });
  stream.cancel();
  const canceled = 'requests_total{model="digits",priority="normal",outcome="canceled"} 2';
  await waitFor(async () => (await fixture.metrics.text()).includes(canceled), {
    what: 'the jobs to be canceled',
  });
});

test('a caller of a stream that does not read its answers does not hold up a drain', async () => {
  const fixture = await openGrpc();
  const { seen } = workFor(fixture);
  const session = connect(`http://127.0.0.1:${fixture.port}`);
  closing.push(() => session.destroy());
  const stream = session.request(headersOf('ModelStreamInfer'));
  stream.on('error', () => undefined);
  stream.pause();
  // Each answer has the id, so that a few of them are more than may be on their way.
  const message = image('x'.repeat(16_000));
  const head = Buffer.alloc(5);
  head.writeUInt32BE(message.length, 1);
  for (let i = 0; i < 100; i += 1) stream.write(Buffer.concat([head, message]));
  await waitFor(() => seen.length >= 32, { what: 'as many as are worked on at a time' });
  await fixture.gateway.drain();
  expect(seen.length).toBeLessThan(100);
});

test('messages arrive as many at a time as bodies may, and one that stays away gives up its turn', async () => {
  const fixture = await openGrpc({ arrivingBodiesMax: 1, requestReceiveMsMax: 1_000 });
  const session = connect(`http://127.0.0.1:${fixture.port}`);
  closing.push(() => session.destroy());
  const { ended, turn } = openCall(session);
  await turn;
  // It is answered only once the silent one has given up.
  let isSilent = true;
  const late = ended.then((code) => {
    isSilent = false;
    return code;
  });
  const live = await fixture.call('ServerLive', nothing);
  expect(live.error).toBeNull();
  expect(isSilent).toBe(false);
  expect(await late).toBe(String(status.DEADLINE_EXCEEDED));
});

test('a call that does not end after its message is ended', async () => {
  const fixture = await openGrpc({ requestReceiveMsMax: 200 });
  const session = connect(`http://127.0.0.1:${fixture.port}`);
  closing.push(() => session.destroy());
  const { ended } = openCall(session, Buffer.alloc(5));
  expect(await ended).toBe(String(status.DEADLINE_EXCEEDED));
});

/** A call that never ends by itself, with a message or none. `turn`: the server has seen its headers. */
function openCall(
  session: ClientHttp2Session,
  message: Uint8Array = nothing,
): { readonly turn: Promise<void>; readonly ended: Promise<string> } {
  const request = session.request(headersOf('ServerLive'));
  request.resume();
  request.write(message);
  const ended = new Promise<string>((resolve) => {
    request.on('response', (headers) => {
      if (headers['grpc-status'] !== undefined) resolve(String(headers['grpc-status']));
    });
    request.on('trailers', (trailers) => resolve(String(trailers['grpc-status'])));
  });
  // Answers to pings come after what was sent before them.
  const turn = new Promise<void>((resolve) => void session.ping(() => resolve()));
  return { ended, turn };
}

function headersOf(method: string): Record<string, string> {
  return {
    ':method': 'POST',
    ':path': `${service}/${method}`,
    'content-type': 'application/grpc',
    te: 'trailers',
  };
}
