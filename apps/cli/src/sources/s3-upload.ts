/** Writes files into S3, large ones in parts. No more than a few parts are in memory at a time. */
import {
  AbortMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  UploadPartCommand,
} from '@aws-sdk/client-s3';
import { createHash } from 'node:crypto';
import { type FileHandle, open } from 'node:fs/promises';
import { err, ok, type Result } from '@inferry/runtime';
import type { S3Failure } from './s3-failure.ts';
import { type S3Store, sha256Base64 } from './s3-store.ts';

export interface Upload {
  readonly key: string;
  readonly path: string;
  readonly bytes: number;
  /** Lower case hex. A file that has become another one while it was read is not written. */
  readonly sha256: string;
  /** Told how many bytes are there. */
  readonly sent: (bytes: number) => void;
}

interface Part {
  readonly PartNumber: number;
  readonly ETag: string;
  readonly ChecksumSHA256: string;
}

const mib = 1024 ** 2;
const partBytesMin = 8 * mib;
/** As many as S3 takes. */
const partsMax = 10_000;
const partsAtOnce = 3;
const another: S3Failure = { kind: 'refused', text: 'has changed since it was read' };

/** Every request carries the SHA-256 of its bytes. Parts are taken back when one of them fails. */
export async function uploadFile(store: S3Store, upload: Upload): Promise<Result<void, S3Failure>> {
  const { bytes, key, path, sent, sha256 } = upload;
  const file = await open(path);
  try {
    if (bytes > partBytesMin) return await uploadParts(store, file, upload);
    const whole = await readPart(file, 0, bytes);
    if (createHash('sha256').update(whole).digest('hex') !== sha256) return err(another);
    const put = await store.put(key, whole, 'anything');
    if (put.ok) sent(bytes);
    return put;
  } finally {
    await file.close();
  }
}

async function uploadParts(
  store: S3Store,
  file: FileHandle,
  { bytes, key, sent, sha256 }: Upload,
): Promise<Result<void, S3Failure>> {
  const target = { Bucket: store.bucket, Key: key };
  const begun = await store.ask((client, options) =>
    client.send(
      new CreateMultipartUploadCommand({ ...target, ChecksumAlgorithm: 'SHA256' }),
      options,
    ),
  );
  if (!begun.ok) return begun;
  const upload = { ...target, UploadId: begun.value.UploadId };
  const partBytes = Math.max(partBytesMin, Math.ceil(bytes / partsMax / mib) * mib);
  const count = Math.ceil(bytes / partBytes);
  const parts: Part[] = [];
  let failure: S3Failure | undefined;
  let sentBytes = 0;
  let next = 0;
  const hash = createHash('sha256');
  let reading: Promise<unknown> = Promise.resolve();
  /** One after the other, in the order of the file. */
  const readNext = (from: number): Promise<Uint8Array> => {
    const part = reading.then(async () => {
      const read = await readPart(file, from, Math.min(partBytes, bytes - from));
      hash.update(read);
      return read;
    });
    reading = part.catch(() => undefined);
    return part;
  };
  const lane = async (): Promise<void> => {
    while (next < count && failure === undefined) {
      const index = next;
      next += 1;
      const part = await readNext(index * partBytes);
      const put = await uploadPart(store, { ...upload, PartNumber: index + 1 }, part);
      if (!put.ok) {
        failure ??= put.error;
        return;
      }
      parts[index] = put.value;
      sentBytes += part.length;
      sent(sentBytes);
    }
  };
  const ended = await Promise.allSettled(Array.from({ length: partsAtOnce }, lane));
  // Of the file, and not of S3.
  const broken = ended.find((one) => one.status === 'rejected');
  const isWhole = failure === undefined && broken === undefined;
  if (isWhole && hash.digest('hex') !== sha256) failure = another;
  if (failure === undefined && broken === undefined) {
    const completed = await store.ask((client, options) =>
      client.send(
        new CompleteMultipartUploadCommand({ ...upload, MultipartUpload: { Parts: parts } }),
        options,
      ),
    );
    if (completed.ok) return ok(undefined);
    failure = completed.error;
  }
  // Without the signal that may have ended the parts: left there, they would cost their owner for ever.
  const aborted = await store.ask((client) => client.send(new AbortMultipartUploadCommand(upload)));
  if (broken !== undefined) throw broken.reason;
  const left = aborted.ok ? '' : '; its parts could not be taken back and are left in the bucket';
  const { kind = 'refused', text = '' } = failure ?? {};
  return err({ kind, text: `${text}${left}` });
}

async function uploadPart(
  store: S3Store,
  target: {
    readonly Bucket: string;
    readonly Key: string;
    readonly UploadId: string | undefined;
    readonly PartNumber: number;
  },
  part: Uint8Array,
): Promise<Result<Part, S3Failure>> {
  const checksum = sha256Base64(part);
  const put = await store.ask((client, options) =>
    client.send(
      new UploadPartCommand({
        ...target,
        Body: part,
        ChecksumAlgorithm: 'SHA256',
        ChecksumSHA256: checksum,
      }),
      options,
    ),
  );
  if (!put.ok) return put;
  const { ETag = '' } = put.value;
  return ok({ PartNumber: target.PartNumber, ETag, ChecksumSHA256: checksum });
}

async function readPart(file: FileHandle, from: number, bytes: number): Promise<Uint8Array> {
  const buffer = Buffer.allocUnsafe(bytes);
  let filled = 0;
  while (filled < bytes) {
    const { bytesRead } = await file.read(buffer, filled, bytes - filled, from + filled);
    if (bytesRead === 0) {
      throw Object.assign(new Error('a file became shorter while it was read'), {
        code: 'EIO',
        syscall: 'read',
      });
    }
    filled += bytesRead;
  }
  return buffer;
}
