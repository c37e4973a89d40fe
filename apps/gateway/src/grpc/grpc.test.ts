/** The gRPC inference service of a gateway on a real port, called as clients call it. */
import { connect, type ClientHttp2Session } from 'node:http2';

import {
  type CallOptions,
  Client,
  type ClientUnaryCall,
  credentials,
  Metadata,
  type ServiceError,
  status,
} from '@grpc/grpc-js';
import type { Limits } from '@inferry/contracts';
import { waitFor } from '@inferry/testkit';
import { afterEach, expect, test } from 'vitest';

import {
  startWorker,
  succeeded,
  type TestGateway,
  testGateway,
  type TestWorker,
} from '../gateway-fixture.test.ts';

const service = '/inference.GRPCInferenceService';

interface Told {
  readonly answer: Buffer | undefined;
  readonly error: ServiceError | null;
  readonly trailers: Metadata;
}

interface Fixture extends TestGateway {
  readonly client: Client;
  readonly port: number;
  /** Sends the bytes of a message. */
  call(
    method: string,
    message: Uint8Array,
    headers?: Record<string, string>,
    options?: CallOptions,
  ): Promise<Told>;
}

const closing: (() => Promise<unknown> | void)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).toReversed()) await close();
});

async function open(
  limits: Partial<Limits> = {},
  more: Parameters<typeof testGateway>[1] = {},
): Promise<Fixture> {
  const fixture = testGateway(limits, more);
  await fixture.gateway.listen({ host: '127.0.0.1', port: 0 });
  const { port } = await fixture.gateway.listenGrpc({ host: '127.0.0.1', port: 0 });
  const client = new Client(`127.0.0.1:${port}`, credentials.createInsecure());
  closing.push(
    () => fixture.close(),
    () => client.close(),
  );
  return {
    ...fixture,
    client,
    port,
    call: (method, message, headers, options) =>
      new Promise((resolve) => unary(client, method, { message, headers, options }, resolve)),
  };
}

function unary(
  client: Client,
  method: string,
  {
    headers = {},
    message,
    options = {},
  }: {
    readonly message: Uint8Array;
    readonly headers?: Record<string, string> | undefined;
    readonly options?: CallOptions | undefined;
  },
  done: (told: Told) => void,
): ClientUnaryCall {
  const metadata = new Metadata();
  for (const [name, value] of Object.entries(headers)) metadata.set(name, value);
  let trailers = new Metadata();
  let answer: Buffer | undefined;
  let error: ServiceError | null = null;
  const asItIs = (bytes: Buffer): Buffer => bytes;
  const call = client.makeUnaryRequest(
    `${service}/${method}`,
    asItIs,
    asItIs,
    Buffer.from(message),
    metadata,
    options,
    (cause, bytes) => {
      answer = bytes;
      error = cause;
    },
  );
  call.on('status', (ended) => {
    trailers = ended.metadata;
    setImmediate(() => done({ answer, error, trailers }));
  });
  return call;
}

function worker(fixture: TestGateway, run?: Parameters<typeof startWorker>[1]): TestWorker {
  const started = startWorker(fixture.queue, run);
  closing.push(() => started.stop());
  return started;
}

/** A field of a message, which for all that is sent here has bytes. */
function field(number: number, value: string | Uint8Array): Buffer {
  const bytes = Buffer.from(value);
  return Buffer.concat([Buffer.of((number << 3) | 2, bytes.length), bytes]);
}

/** A request for a model that takes images, with one of three bytes in it. */
function image(id = 'q1', model = 'digits'): Buffer {
  const input = Buffer.concat([field(1, 'image'), field(2, 'BYTES'), field(3, Buffer.of(1))]);
  const raw = field(7, Buffer.of(3, 0, 0, 0, 7, 8, 9));
  return Buffer.concat([field(1, model), field(3, id), field(5, input), raw]);
}

const nothing = Buffer.alloc(0);

test('an infer request becomes a job, and its outcome the answer', async () => {
  const fixture = await open();
  const { seen } = worker(fixture);
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
  const fixture = await open();
  const { error, trailers } = await fixture.call('ModelInfer', message);
  expect(error?.code).toBe(code);
  expect(error?.details).not.toBe('');
  expect(trailers.get('inferry-code')).toEqual([name]);
});

test('load is refused as over HTTP: no place to wait is UNAVAILABLE, with the time to come back', async () => {
  const fixture = await open({ heldRequestsMax: 1 });
  const first = fixture.call('ModelInfer', image());
  await waitFor(async () => (await fixture.metrics.text()).includes('result_waiters 1'), {
    what: 'the first to wait',
  });
  const { error, trailers } = await fixture.call('ModelInfer', image());
  expect(error?.code).toBe(status.UNAVAILABLE);
  expect(trailers.get('inferry-code')).toEqual(['queue_full']);
  expect(trailers.get('retry-after-ms')).toEqual(['1000']);
  worker(fixture);
  expect((await first).error).toBeNull();
});

test('a call that is canceled cancels its job', async () => {
  const fixture = await open();
  const call = unary(fixture.client, 'ModelInfer', { message: image() }, () => undefined);
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
  const fixture = await open();
  const { seen } = worker(
    fixture,
    () => new Promise((resolve) => setTimeout(() => resolve(succeeded), 600)),
  );
  const { error } = await fixture.call('ModelInfer', image(), {}, { deadline: Date.now() + 500 });
  expect(error?.code).toBe(status.DEADLINE_EXCEEDED);
  const [first] = seen;
  expect(first?.claim.job.deadlineMs).toBeLessThanOrEqual(500);
  expect(first?.claim.job.deadlineMs).toBeGreaterThan(0);
});

test('tenants are told by metadata, and one that nobody knows is refused', async () => {
  const fixture = await open({}, { tenants: new Map([['acme', 3]]) });
  const { seen } = worker(fixture);
  await fixture.call('ModelInfer', image(), { 'inferry-tenant': 'acme' });
  expect(seen[0]?.claim.job.tenant).toBe('acme');
  const { error } = await fixture.call('ModelInfer', image(), { 'inferry-tenant': 'nobody' });
  expect(error?.code).toBe(status.INVALID_ARGUMENT);
});

test('a message beyond the limit of bodies is refused, whatever is in it', async () => {
  const fixture = await open({ bodyBytesMax: 2_000 });
  const { error } = await fixture.call('ModelInfer', Buffer.alloc(3_000));
  expect(error?.code).toBe(status.RESOURCE_EXHAUSTED);
});

test('a server that drains answers what waits, and refuses what comes', async () => {
  const fixture = await open();
  const waiting = fixture.call('ModelInfer', image());
  await waitFor(async () => (await fixture.metrics.text()).includes('result_waiters 1'), {
    what: 'the call to wait',
  });
  const drained = fixture.gateway.drain();
  const late = await fixture.call('ModelInfer', image());
  expect(late.error?.code).toBe(status.UNAVAILABLE);
  expect(late.trailers.get('inferry-code')).toEqual(['draining']);
  worker(fixture);
  expect((await waiting).error).toBeNull();
  await drained;
});

test('what is not served says why, and what nobody knows is unknown', async () => {
  const fixture = await open();
  const load = await fixture.call('RepositoryModelLoad', nothing);
  expect(load.error?.code).toBe(status.UNIMPLEMENTED);
  expect(load.error?.details).toContain('workers load the models');
  expect((await fixture.call('Nothing', nothing)).error?.code).toBe(status.UNIMPLEMENTED);
});

test('questions about the server and its models are answered', async () => {
  const fixture = await open();
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
  const fixture = await open();
  // The later a request comes, the sooner it is done.
  let left = 4;
  worker(fixture, async () => {
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
  const fixture = await open();
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

test('messages arrive as many at a time as bodies may, and one that stays away gives up its turn', async () => {
  const fixture = await open({ arrivingBodiesMax: 1, requestReceiveMsMax: 1_000 });
  const session = connect(`http://127.0.0.1:${fixture.port}`);
  closing.push(() => session.destroy());
  const { ended, turn } = silentCall(session);
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

/** A call whose message never comes. `turn`: the server has seen its headers. */
function silentCall(session: ClientHttp2Session): {
  readonly turn: Promise<void>;
  readonly ended: Promise<string>;
} {
  const request = session.request({
    ':method': 'POST',
    ':path': `${service}/ServerLive`,
    'content-type': 'application/grpc',
    te: 'trailers',
  });
  request.resume();
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
