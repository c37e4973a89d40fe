/** What `inferry models pull` does with a location in S3. Loaded only where there is one: the client library is large. */
import type { Result } from '@inferry/runtime';
import type { DownloadDeps } from '../pull/download.ts';
import { fetchFromS3, type FromS3, type WantedFromS3 } from './fetch-from-s3.ts';
import { openS3, type S3Deps } from './open-s3.ts';

export async function pullFromS3(
  wanted: WantedFromS3,
  deps: DownloadDeps & S3Deps,
): Promise<Result<FromS3, string>> {
  const store = openS3(wanted.location.bucket, deps);
  if (!store.ok) return store;
  try {
    return await fetchFromS3(store.value, wanted, deps);
  } finally {
    store.value.close();
  }
}
