/** A manifest as it leaves the host. */
import type { ModelManifest } from '@inferry/contracts';

/** The same manifest without the path that only the worker's host understands. */
export function publicManifest(manifest: ModelManifest): ModelManifest {
  return { ...manifest, file: null };
}
