/** A model as callers name it: `name`, or `name@version`. */
import type { Failure, ModelManifest } from '@inferry/contracts';
import type { ModelCatalogue } from '@inferry/models';
import type { Result } from '@inferry/runtime';

/** The manifest to pin a job to. Errors: `model_not_found`, `model_version_not_found`. */
export function resolveReference(
  reference: string,
  catalogue: ModelCatalogue,
): Result<ModelManifest, Failure> {
  const at = reference.indexOf('@');
  return at === -1
    ? catalogue.resolve(reference)
    : catalogue.resolve(reference.slice(0, at), reference.slice(at + 1));
}
