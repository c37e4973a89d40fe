/** A bucket, with what the environment says of S3. */
import { err, ok, type Result } from '@inferry/runtime';
import { parseS3Settings } from './s3-settings.ts';
import { S3Store } from './s3-store.ts';

export interface S3Deps {
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Longest time without a byte, ms. */
  readonly idleMs: number;
  readonly stop?: AbortSignal;
}

/** The error names a variable. Who opened it closes it. */
export function openS3(bucket: string, { env, idleMs, stop }: S3Deps): Result<S3Store, string> {
  const settings = parseS3Settings(env);
  if (!settings.ok) return err(settings.error);
  const more = stop === undefined ? {} : { stop };
  return ok(new S3Store({ bucket, settings: settings.value, idleMs, ...more }));
}
