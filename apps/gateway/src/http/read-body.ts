/**
 * Reads a request's body, as bytes, while watching its size. Of a body that is too large nothing is
 * kept; the HTTP adapter discards what still comes for half a second (or 64 MiB), so that a caller who
 * is sending gets to read the answer, and then cuts the connection.
 */
import type { IncomingMessage } from 'node:http';

import { type Failure, failure, type Limits } from '@inferry/contracts';
import { err, ok, type Result } from '@inferry/runtime';

import { BodyBuffer } from './body-buffer.ts';
import type { LentMemory } from './body-memory.ts';
import { codingOf, unpacked } from './content-coding.ts';
import type { GatewayContext, GatewayEnv } from './exchange.ts';
import { Turns } from './turns.ts';

const retryAfterMs = 1_000;

/** Bodies that are unpacked at a time: each keeps a thread of the pool busy, which others need too. */
const unpackedTogether = 2;

/** Bytes of the bodies that one gateway has begun to receive and has not completely received. */
export class ArrivingBytes {
  /** What is unpacked takes memory that nobody has sent. */
  readonly unpacking = new Turns(unpackedTogether);
  #bytes = 0;

  get bytes(): number {
    return this.#bytes;
  }

  add(bytes: number): void {
    this.#bytes += bytes;
  }
}

interface Bounds {
  readonly limits: Limits;
  readonly arriving: ArrivingBytes;
}

/**
 * The body, in `memory` where it is large; unpacked where it is compressed, within the same limit. Errors:
 * `unsupported_content_encoding`, `invalid_header`, `payload_too_large` (extras `limit_bytes`),
 * `request_timeout`, `queue_full` (too many bytes of all requests are on their way, or to be unpacked).
 */
export async function readBody(
  c: GatewayContext,
  memory: LentMemory,
  { limits, arriving }: Bounds,
): Promise<Result<Uint8Array, Failure>> {
  const bytesMax = limits.bodyBytesMax;
  const coding = codingOf(c.req.header('content-encoding'));
  if (!coding.ok) return coding;
  const declaredBytes = Number(c.req.header('content-length') ?? NaN);
  if (declaredBytes > bytesMax) return err(tooLarge(bytesMax));
  const body = new BodyBuffer(bytesMax, declaredBytes, memory);
  const { incoming, outgoing } = bindingsOf(c);
  if (incoming !== undefined) {
    if (incoming.headers.expect?.toLowerCase() === '100-continue') outgoing?.writeContinue();
  }
  const read =
    incoming === undefined
      ? await readStream(c.req.raw.body, body, bytesMax)
      : await readIncoming(incoming, body, { limits, arriving });
  if (!read.ok || coding.value === undefined) return read;
  const packed = unpacked(read.value, coding.value);
  const whole = new BodyBuffer(bytesMax, NaN, memory);
  const taken = await arriving.unpacking.take(limits.arrivingBodiesMax, () =>
    readUnpacked(packed, whole, bytesMax),
  );
  return taken ?? err(tooManyCompressed());
}

/** Node's messages under the request; reading them directly costs less than a web stream around them. */
function bindingsOf(c: GatewayContext): GatewayEnv['Bindings'] {
  const env: GatewayEnv['Bindings'] | undefined = c.env;
  return env ?? {};
}

function readIncoming(
  incoming: IncomingMessage,
  body: BodyBuffer,
  { limits, arriving }: Bounds,
): Promise<Result<Uint8Array, Failure>> {
  const { bodyBytesMax: bytesMax, arrivingBodiesMax } = limits;
  const arrivingBytesMax = bytesMax * arrivingBodiesMax;
  return new Promise((resolve) => {
    let size = 0;
    const finish = (result: Result<Uint8Array, Failure>): void => {
      arriving.add(-size);
      incoming.off('data', onData).off('end', onEnd).off('close', onGone).off('error', onGone);
      resolve(result);
    };
    const onData = (chunk: Buffer): void => {
      size += chunk.length;
      arriving.add(chunk.length);
      const isTooLarge = size > bytesMax;
      if (arriving.bytes <= arrivingBytesMax && body.add(chunk)) return;
      incoming.pause();
      finish(err(isTooLarge ? tooLarge(bytesMax) : tooManyArriving(arrivingBytesMax)));
    };
    const onEnd = (): void => finish(ok(body.bytes()));
    // Nobody reads this answer: the connection broke or was timed out before the body was complete.
    const onGone = (): void => finish(err(failure('request_timeout', 'The body did not arrive.')));
    incoming.on('data', onData).on('end', onEnd).on('close', onGone).on('error', onGone);
    if (incoming.destroyed) onGone();
  });
}

async function readStream(
  stream: ReadableStream<Uint8Array> | null,
  body: BodyBuffer,
  bytesMax: number,
): Promise<Result<Uint8Array, Failure>> {
  for await (const chunk of stream ?? []) {
    if (!body.add(chunk)) return err(tooLarge(bytesMax));
  }
  return ok(body.bytes());
}

async function readUnpacked(
  pieces: AsyncIterable<Result<Uint8Array, Failure>>,
  body: BodyBuffer,
  bytesMax: number,
): Promise<Result<Uint8Array, Failure>> {
  for await (const piece of pieces) {
    if (!piece.ok) return piece;
    if (!body.add(piece.value)) return err(tooLargeUnpacked(bytesMax));
  }
  return ok(body.bytes());
}

function tooManyCompressed(): Failure {
  const detail = 'Too many compressed bodies wait to be unpacked.';
  return failure('queue_full', detail, { retryAfterMs });
}

function tooManyArriving(bytesMax: number): Failure {
  const detail = `The requests that this server is receiving have more than ${bytesMax} bytes together.`;
  return failure('queue_full', detail, { retryAfterMs });
}

function tooLargeUnpacked(bytesMax: number): Failure {
  const detail = `The body unpacks to more than ${bytesMax} bytes.`;
  return failure('payload_too_large', detail, { extras: { limit_bytes: bytesMax } });
}

function tooLarge(bytesMax: number): Failure {
  const detail = `The body is larger than ${bytesMax} bytes.`;
  return failure('payload_too_large', detail, { extras: { limit_bytes: bytesMax } });
}
