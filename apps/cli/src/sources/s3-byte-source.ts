/** An object in S3 as a download reads it. */
import { err, ok, type Result } from '@inferry/runtime';
import type { ByteSource, NotOpened } from '../pull/byte-source.ts';
import type { S3Failure } from './s3-failure.ts';
import type { S3Store } from './s3-store.ts';

export interface ObjectToRead {
  readonly key: string;
  /** What it must have, as it was told before; empty where it was not. */
  readonly etag: string;
  /** What may be printed of it. */
  readonly shown: string;
  /** By which what was begun is found again: of one that who fetches has alone. */
  readonly scope: string;
}

export function s3Source(store: S3Store, { etag, key, scope, shown }: ObjectToRead): ByteSource {
  return {
    shown,
    id: scope,
    open: async (from, validator) => {
      const body = await store.read(key, from, from > 0 || etag === '' ? validator : etag);
      if (!body.ok) return err(notOpened(body.error, from));
      const { bytes, etag: sent, from: start, stream } = body.value;
      return ok({
        from: start,
        totalBytes: bytes,
        validator: sent === '' ? null : sent,
        bytes: stream as AsyncIterable<Uint8Array>,
        close: () => stream.destroy(),
      });
    },
    problemOf: (cause) => notOpened(store.failure(cause), 1),
  };
}

function notOpened({ kind, text }: S3Failure, from: number): NotOpened {
  if (kind === 'passing') return { end: 'again', why: text };
  // From its beginning on, it is another one than was looked at before.
  if (kind === 'changed' && from > 0) return { end: 'changed', why: text };
  return { end: 'refused', why: text };
}

/** A failure in words. */
export function told<T>(result: Result<T, S3Failure>): Result<T, string> {
  return result.ok ? result : err(result.error.text);
}
