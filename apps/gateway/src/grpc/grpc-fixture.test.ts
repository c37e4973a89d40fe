/** A gateway with the gRPC inference service on a real port, and calls of it as clients make them. */
import {
  type CallOptions,
  Client,
  type ClientUnaryCall,
  credentials,
  Metadata,
  type ServiceError,
} from '@grpc/grpc-js';
import type { Limits } from '@inferry/contracts';
import { afterEach, expect, test } from 'vitest';

import {
  startWorker,
  type TestGateway,
  testGateway,
  type TestWorker,
} from '../gateway-fixture.test.ts';

export const service = '/inference.GRPCInferenceService';

export interface Told {
  readonly answer: Buffer | undefined;
  readonly error: ServiceError | null;
  readonly trailers: Metadata;
}

export interface GrpcGateway extends TestGateway {
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

/** Runs in reverse when a test is over. */
export const closing: (() => Promise<unknown> | void)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).toReversed()) await close();
});

export async function openGrpc(
  limits: Partial<Limits> = {},
  more: Parameters<typeof testGateway>[1] = {},
): Promise<GrpcGateway> {
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
      new Promise((resolve) => callUnary(client, method, { message, headers, options }, resolve)),
  };
}

export function callUnary(
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

export function workFor(fixture: TestGateway, run?: Parameters<typeof startWorker>[1]): TestWorker {
  const started = startWorker(fixture.queue, run);
  closing.push(() => started.stop());
  return started;
}

/** A field of a message, which for all that is sent here has bytes, less than 16 KiB. */
export function field(number: number, value: string | Uint8Array): Buffer {
  const bytes = Buffer.from(value);
  const { length } = bytes;
  const size = length < 0x80 ? [length] : [(length & 0x7f) | 0x80, length >>> 7];
  return Buffer.concat([Buffer.of((number << 3) | 2, ...size), bytes]);
}

/** A request for a model that takes images, with one of three bytes in it. */
export function image(id = 'q1', model = 'digits'): Buffer {
  const input = Buffer.concat([field(1, 'image'), field(2, 'BYTES'), field(3, Buffer.of(1))]);
  const raw = field(7, Buffer.of(3, 0, 0, 0, 7, 8, 9));
  return Buffer.concat([field(1, model), field(3, id), field(5, input), raw]);
}

test('a call of the fixture gets its answer, and what it was sent with', async () => {
  const fixture = await openGrpc();
  const told = await fixture.call('ServerLive', Buffer.alloc(0), { 'request-id': 'mine' });
  expect([...(told.answer ?? [])]).toEqual([8, 1]);
  expect(told.trailers.get('request-id')).toEqual(['mine']);
});
