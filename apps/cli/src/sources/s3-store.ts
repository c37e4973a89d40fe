/**
 * One bucket in S3: what the model sources need of it, and no more. Answers of the client library
 * become results; files of any size go through s3-upload.ts and read().
 */
import {
  DeleteObjectCommand,
  GetObjectCommand,
  HeadObjectCommand,
  type HeadObjectCommandOutput,
  ListObjectsV2Command,
  PutObjectCommand,
  S3Client,
} from '@aws-sdk/client-s3';
import { createHash } from 'node:crypto';
import type { Readable } from 'node:stream';
import { err, ok, type Result } from '@inferry/runtime';
import { failureOf, type S3Failure, unasked } from './s3-failure.ts';
import type { S3Settings } from './s3-settings.ts';

export interface StoredObject {
  readonly key: string;
  readonly bytes: number;
  /** With its quotes. */
  readonly etag: string;
}

/** What S3 tells of one object without sending it. */
export interface StoredHead {
  readonly bytes: number;
  readonly etag: string;
  /** Of the whole object, in base64, by algorithm. */
  readonly checksums: Readonly<Record<string, string>>;
  /** False where the ETag is no MD5, as with keys of a key service. */
  readonly isPlainEtag: boolean;
}

/** The bytes of an object from some place on. */
export interface StoredBody {
  readonly from: number;
  readonly bytes: number;
  readonly etag: string;
  readonly stream: Readable;
}

/** Which object a write may replace: none, or whatever is there. */
export type PutOver = 'nothing' | 'anything';

export interface StoreOptions {
  readonly bucket: string;
  readonly settings: S3Settings;
  /** Longest time without a byte, ms. */
  readonly idleMs: number;
  /** Ends what is under way, and aborts an upload in parts. */
  readonly stop?: AbortSignal;
}

const connectMsMax = 10_000;
const attemptsMax = 4;

export class S3Store {
  readonly bucket: string;
  readonly #settings: S3Settings;
  readonly #client: S3Client;
  readonly #stop: AbortSignal | undefined;

  constructor({ bucket, idleMs, settings, stop }: StoreOptions) {
    const { credentials, endpoint, region } = settings;
    this.bucket = bucket;
    this.#settings = settings;
    this.#stop = stop;
    this.#client = new S3Client({
      maxAttempts: attemptsMax,
      followRegionRedirects: true,
      // What is written carries SHA-256, and what is read is checked as a whole, when it has arrived.
      requestChecksumCalculation: 'WHEN_REQUIRED',
      responseChecksumValidation: 'WHEN_REQUIRED',
      requestHandler: {
        connectionTimeout: Math.min(idleMs, connectMsMax),
        socketTimeout: idleMs,
      },
      ...(region === null ? {} : { region }),
      ...(credentials === null ? {} : { credentials }),
      // Others than Amazon seldom have a name for each bucket.
      ...(endpoint === null ? {} : { endpoint, forcePathStyle: true }),
    });
  }

  /** Names the server, for the names of unfinished downloads. */
  get where(): string {
    return this.#settings.endpoint ?? 'aws';
  }

  close(): void {
    this.#client.destroy();
  }

  /** All objects whose key begins so, in order; refused when there are more than `max`. */
  async list(prefix: string, max: number): Promise<Result<readonly StoredObject[], S3Failure>> {
    const found: StoredObject[] = [];
    let after: string | undefined;
    for (let pages = 0; pages <= max; pages += 1) {
      const page = await this.ask((client, options) =>
        client.send(
          new ListObjectsV2Command({
            Bucket: this.bucket,
            Prefix: prefix,
            ...(after === undefined ? {} : { ContinuationToken: after }),
          }),
          options,
        ),
      );
      if (!page.ok) return page;
      for (const { ETag = '', Key, Size = 0 } of page.value.Contents ?? []) {
        if (Key !== undefined) found.push({ key: Key, bytes: Size, etag: ETag });
      }
      if (found.length > max) break;
      const next = page.value.NextContinuationToken;
      if (next === undefined || next === after) return ok(found);
      after = next;
    }
    const shown = `s3://${this.bucket}/${prefix}`;
    return err({ kind: 'refused', text: `${shown} holds more than ${max} objects` });
  }

  async head(key: string): Promise<Result<StoredHead, S3Failure>> {
    const told = await this.#head(key);
    return told.ok ? ok(headOf(told.value)) : told;
  }

  /** Bytes of the first of the parts that an object was written in. */
  async firstPartBytes(key: string): Promise<Result<number, S3Failure>> {
    const told = await this.#head(key, 1);
    return told.ok ? ok(told.value.ContentLength ?? 0) : told;
  }

  /** The object from a byte on, if it still has that ETag. */
  async read(
    key: string,
    from: number,
    etag: string | null,
  ): Promise<Result<StoredBody, S3Failure>> {
    const got = await this.ask((client, options) =>
      client.send(
        new GetObjectCommand({
          Bucket: this.bucket,
          Key: key,
          ...(from > 0 ? { Range: `bytes=${from}-` } : {}),
          ...(etag === null ? {} : { IfMatch: etag }),
        }),
        options,
      ),
    );
    if (!got.ok) return got;
    const { Body, ContentLength = 0, ContentRange, ETag = '' } = got.value;
    const stream = Body as Readable;
    // One that comes before the body is read, or after it is left, is no bug; reading tells it again.
    stream.on('error', () => undefined);
    const start = Number(/^bytes (\d+)-/u.exec(ContentRange ?? '')?.[1] ?? 0);
    if (start !== from) {
      stream.destroy();
      return err({ kind: 'changed', text: 'the server sent other bytes than it was asked for' });
    }
    return ok({ from: start, bytes: start + ContentLength, etag: ETag, stream });
  }

  /** A small object, whole. */
  async readText(
    key: string,
    bytesMax: number,
  ): Promise<Result<{ readonly text: string; readonly etag: string }, S3Failure>> {
    const body = await this.read(key, 0, null);
    if (!body.ok) return body;
    const { etag, stream } = body.value;
    const chunks: Uint8Array[] = [];
    let bytes = 0;
    try {
      for await (const chunk of stream as AsyncIterable<Uint8Array>) {
        bytes += chunk.length;
        if (bytes > bytesMax) {
          const text = `s3://${this.bucket}/${key} is larger than ${bytesMax} bytes`;
          return err({ kind: 'refused', text });
        }
        chunks.push(chunk);
      }
    } catch (cause) {
      return err(this.failure(cause));
    }
    return ok({ text: Buffer.concat(chunks).toString('utf8'), etag });
  }

  /** Writes an object whole; `changed` where there is one that it must not replace. */
  async put(key: string, bytes: Uint8Array, over: PutOver): Promise<Result<void, S3Failure>> {
    const put = await this.ask((client, options) =>
      client.send(
        new PutObjectCommand({
          Bucket: this.bucket,
          Key: key,
          Body: bytes,
          ChecksumAlgorithm: 'SHA256',
          ChecksumSHA256: sha256Base64(bytes),
          ...(over === 'nothing' ? { IfNoneMatch: '*' } : {}),
        }),
        options,
      ),
    );
    return put.ok ? ok(undefined) : put;
  }

  async remove(key: string): Promise<Result<void, S3Failure>> {
    const removed = await this.ask((client, options) =>
      client.send(new DeleteObjectCommand({ Bucket: this.bucket, Key: key }), options),
    );
    return removed.ok ? ok(undefined) : removed;
  }

  /** Throws what is no failure of S3's. */
  failure(cause: unknown): S3Failure {
    const failure = this.#known(cause);
    if (failure === undefined) throw cause;
    return failure;
  }

  #known(cause: unknown): S3Failure | undefined {
    if (this.#stop?.aborted === true) return { kind: 'refused', text: 'was interrupted' };
    return failureOf(cause, this.bucket, this.#settings);
  }

  #head(key: string, part?: number): Promise<Result<HeadObjectCommandOutput, S3Failure>> {
    return this.ask((client, options) =>
      client.send(
        new HeadObjectCommand({
          Bucket: this.bucket,
          Key: key,
          ChecksumMode: 'ENABLED',
          ...(part === undefined ? {} : { PartNumber: part }),
        }),
        options,
      ),
    );
  }

  /** One exchange; what is sent gets the signal that ends it. */
  async ask<T>(
    send: (client: S3Client, options: { readonly abortSignal?: AbortSignal }) => Promise<T>,
  ): Promise<Result<T, S3Failure>> {
    try {
      return ok(
        await send(this.#client, this.#stop === undefined ? {} : { abortSignal: this.#stop }),
      );
    } catch (cause) {
      return err(this.#known(cause) ?? unasked(cause));
    }
  }
}

function headOf(told: HeadObjectCommandOutput): StoredHead {
  const { ChecksumType, ContentLength = 0, ETag = '' } = told;
  const isInParts = /-\d+"?$/u.test(ETag);
  const all = {
    sha256: told.ChecksumSHA256,
    sha1: told.ChecksumSHA1,
    crc64nvme: told.ChecksumCRC64NVME,
    crc32c: told.ChecksumCRC32C,
    crc32: told.ChecksumCRC32,
  };
  // Those of parts are told with their number, and by some servers without.
  const isWhole = ChecksumType === 'FULL_OBJECT' || (ChecksumType === undefined && !isInParts);
  const given = Object.entries(all).filter(
    (entry): entry is [string, string] =>
      entry[1] !== undefined && isWhole && !entry[1].includes('-'),
  );
  const { SSECustomerAlgorithm, ServerSideEncryption } = told;
  return {
    bytes: ContentLength,
    etag: ETag,
    checksums: Object.fromEntries(given),
    isPlainEtag:
      SSECustomerAlgorithm === undefined && !(ServerSideEncryption ?? '').startsWith('aws:kms'),
  };
}

export function sha256Base64(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('base64');
}
