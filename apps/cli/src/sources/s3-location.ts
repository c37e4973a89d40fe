/** Where something lies in S3: `s3://bucket/folder/name`. */
import { err, ok, type Result } from '@inferry/runtime';

export interface S3Location {
  readonly bucket: string;
  /** Without a slash at either end; empty for the whole bucket. */
  readonly key: string;
}

/** Whether a text is meant to be a location in S3. */
export function isS3(text: string): boolean {
  return /^s3:/iu.test(text);
}

/** The error ends a sentence that begins with what the text is: `must look like ...`. */
export function parseS3Location(text: string): Result<S3Location, string> {
  const match = /^s3:\/\/(?<bucket>[^/]*)(?:\/(?<key>.*))?$/su.exec(text);
  const { bucket = '', key = '' } = match?.groups ?? {};
  if (bucket.includes(':')) {
    return err(
      'must look like s3://bucket/folder; the address of the server goes into AWS_ENDPOINT_URL',
    );
  }
  if (!/^[A-Za-z0-9][A-Za-z0-9._-]{1,62}$/u.test(bucket)) {
    return err(`must look like s3://bucket/folder, not ${JSON.stringify(text.slice(0, 200))}`);
  }
  const trimmed = key.replace(/\/$/u, '');
  const problem = keyProblem(trimmed);
  return problem === undefined ? ok({ bucket, key: trimmed }) : err(problem);
}

export function s3Text({ bucket, key }: S3Location): string {
  return key === '' ? `s3://${bucket}` : `s3://${bucket}/${key}`;
}

/** The location of something below another. */
export function below({ bucket, key }: S3Location, path: string): S3Location {
  return { bucket, key: key === '' ? path : `${key}/${path}` };
}

/** The folder around a location and its name there; undefined for a bucket. */
export function parentOf({
  bucket,
  key,
}: S3Location): { readonly parent: S3Location; readonly name: string } | undefined {
  if (key === '') return undefined;
  const cut = key.lastIndexOf('/');
  return { parent: { bucket, key: key.slice(0, Math.max(0, cut)) }, name: key.slice(cut + 1) };
}

/** Why a path cannot be one of a file in a folder here; an empty path can. */
export function keyProblem(path: string): string | undefined {
  const parts = path === '' ? [] : path.split('/');
  const isOdd = parts.some((part) => part === '' || part === '.' || part === '..');
  if (!isOdd && !/[\\\p{Cc}]/u.test(path) && path.length <= 1024) return undefined;
  return `the path ${JSON.stringify(path.slice(0, 200))} is not taken`;
}
