/** Bodies that are compressed on their way (RFC 9110, 8.4): gzip and deflate, both ways. */
import { promisify } from 'node:util';
import { constants, createGunzip, createInflate, deflate, gzip } from 'node:zlib';

import { type Failure, failure } from '@inferry/contracts';
import { err, ok, type Result } from '@inferry/runtime';
import { accepts } from 'hono/accepts';

import type { GatewayContext } from './exchange.ts';

type Coding = 'gzip' | 'deflate';

const decoders = { gzip: createGunzip, deflate: createInflate } as const;
/** Of what is unpacked; each takes a turn of a thread. */
const pieceBytes = 64 * 1024;
const encoders = { gzip: promisify(gzip), deflate: promisify(deflate) } as const;
/** Less is sent as it is: packing it would take longer than sending it. */
const packedBytesMin = 1_024;

/** How the body is compressed, undefined where it is not. Error: `unsupported_content_encoding`. */
export function codingOf(header: string | undefined): Result<Coding | undefined, Failure> {
  const name = (header ?? 'identity').trim().toLowerCase();
  if (name === 'identity' || name === '') return ok(undefined);
  if (name === 'gzip' || name === 'x-gzip') return ok('gzip');
  if (name === 'deflate') return ok('deflate');
  const detail = `Content-Encoding "${name.slice(0, 40)}" is not supported; send gzip, deflate or the body as it is.`;
  return err(failure('unsupported_content_encoding', detail));
}

/**
 * What it unpacks to, piece by piece, so that whoever takes them can stop when it is enough. Ends with
 * `invalid_header` where the rest is not so packed.
 */
export async function* unpacked(
  bytes: Uint8Array,
  coding: Coding,
): AsyncGenerator<Result<Uint8Array, Failure>, void> {
  const unpacking = decoders[coding]({ chunkSize: pieceBytes });
  unpacking.end(bytes);
  try {
    for await (const piece of unpacking) yield ok(piece as Buffer);
  } catch {
    const detail = `Content-Encoding is ${coding}, and the body is not ${coding} data.`;
    yield err(failure('invalid_header', detail, { extras: { header: 'Content-Encoding' } }));
  }
}

interface Packed {
  readonly body: Uint8Array | string;
  readonly headers: Readonly<Record<string, string>>;
}

/** The body as the caller prefers it, fast rather than small; a small one stays as it is. */
export async function packed(c: GatewayContext, body: Uint8Array | string): Promise<Packed> {
  if (body.length < packedBytesMin) return { body, headers: {} };
  const headers = { Vary: 'Accept-Encoding' };
  const coding = accepts(c, {
    header: 'Accept-Encoding',
    supports: ['gzip', 'deflate', 'identity'],
    default: 'identity',
  });
  if (coding !== 'gzip' && coding !== 'deflate') return { body, headers };
  const bytes = await encoders[coding](body, { level: constants.Z_BEST_SPEED });
  return { body: bytes, headers: { ...headers, 'Content-Encoding': coding } };
}
