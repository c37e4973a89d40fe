/**
 * Whether a file that came from S3 is what S3 holds, by the best that S3 tells of it: the checksum it was uploaded
 * with, or its ETag where that is an MD5. What can be checked by nothing is told.
 */
import { Crc32, Crc32c, Crc64Nvme } from '@aws-sdk/checksums/crc';
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { err, ok, type Result } from '@inferry/runtime';
import type { CheckedBy } from '../pull/checked.ts';
import type { S3Failure } from './s3-failure.ts';
import type { S3Store, StoredHead } from './s3-store.ts';

interface Checksum {
  update(bytes: Uint8Array): void;
  digest(): Promise<Uint8Array>;
}

const byAlgorithm: readonly (readonly [CheckedBy, () => Checksum])[] = [
  ['sha256', () => hash('sha256')],
  ['sha1', () => hash('sha1')],
  ['crc64nvme', () => new Crc64Nvme()],
  ['crc32c', () => new Crc32c()],
  ['crc32', () => new Crc32()],
];

/** The error ends a sentence that begins with the object's name. */
export async function checkObject(
  store: Pick<S3Store, 'firstPartBytes'>,
  { key, head }: { readonly key: string; readonly head: StoredHead },
  file: string,
): Promise<Result<CheckedBy, string>> {
  for (const [name, make] of byAlgorithm) {
    const wanted = head.checksums[name];
    if (wanted === undefined) continue;
    const checksum = make();
    for await (const chunk of bytesOf(file)) checksum.update(chunk);
    const found = Buffer.from(await checksum.digest()).toString('base64');
    if (found === wanted) return ok(name);
    return err(`what arrived has the ${name} ${found}, and S3 says ${wanted}; nothing is kept`);
  }
  if (!head.isPlainEtag) return ok('size');
  const { count, md5 } =
    /^"(?<md5>[0-9a-f]{32})(?:-(?<count>\d+))?"$/u.exec(head.etag)?.groups ?? {};
  if (md5 === undefined) return ok('size');
  if (count !== undefined) {
    const parts = await partsMd5(store, key, Number(count), head.bytes, file);
    if (!parts.ok) return err(parts.error.text);
    // Of parts of unequal sizes, which are not told, nothing follows.
    return ok(parts.value === md5 ? 'md5' : 'size');
  }
  const whole = hash('md5');
  for await (const chunk of bytesOf(file)) whole.update(chunk);
  const found = Buffer.from(await whole.digest()).toString('hex');
  if (found === md5) return ok('md5');
  return err(`what arrived has the MD5 ${found}, and S3 says ${md5}; nothing is kept`);
}

/** The MD5 of the MD5s of the parts, as ETags of uploads in parts have it, if all parts are as large as the first. */
async function partsMd5(
  store: Pick<S3Store, 'firstPartBytes'>,
  key: string,
  count: number,
  bytes: number,
  file: string,
): Promise<Result<string | undefined, S3Failure>> {
  const first = await store.firstPartBytes(key);
  if (!first.ok) return first;
  const partBytes = first.value;
  if (partBytes === 0 || Math.ceil(bytes / partBytes) !== count) return ok(undefined);
  const all = createHash('md5');
  for (let from = 0; from < bytes; from += partBytes) {
    const part = createHash('md5');
    for await (const chunk of bytesOf(file, from, from + partBytes - 1)) part.update(chunk);
    all.update(part.digest());
  }
  return ok(all.digest('hex'));
}

function hash(algorithm: string): Checksum {
  const running = createHash(algorithm);
  return {
    update: (bytes) => void running.update(bytes),
    digest: async () => running.digest(),
  };
}

function bytesOf(file: string, start = 0, end = Infinity): AsyncIterable<Uint8Array> {
  const options = { start, end, highWaterMark: 1024 * 1024 };
  return createReadStream(file, options) as AsyncIterable<Uint8Array>;
}
