/** A model as callers name it: `name`, or `name@version`. */
import type { Failure, ModelManifest } from '@inferry/contracts';
import type { ModelCatalogue } from '@inferry/models';
import type { Result } from '@inferry/runtime';

/** The manifest to pin a job to. Errors: `model_not_found`, `model_version_not_found`. */
export function resolveReference(
  reference: string,
  catalogue: ModelCatalogue,
): Result<ModelManifest, Failure> {
  const { name, version } = splitReference(reference);
  return catalogue.resolve(name, version);
}

export function splitReference(reference: string): {
  readonly name: string;
  readonly version: string | undefined;
} {
  const at = reference.indexOf('@');
  return at === -1
    ? { name: reference, version: undefined }
    : { name: reference.slice(0, at), version: reference.slice(at + 1) };
}
