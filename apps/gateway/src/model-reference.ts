/** A model as callers name it, `name` or `name@version` (or a label), and the version that a request gets. */
import { createHash } from 'node:crypto';

import type { Failure, ModelManifest } from '@inferry/contracts';
import type { ModelCatalogue } from '@inferry/models';
import type { Random, Result } from '@inferry/runtime';

export function splitReference(reference: string): {
  readonly name: string;
  readonly version: string | undefined;
} {
  const at = reference.indexOf('@');
  return at === -1
    ? { name: reference, version: undefined }
    : { name: reference.slice(0, at), version: reference.slice(at + 1) };
}

/**
 * The manifest to pin a job to; asked for once a request, as traffic may be shared out between versions. Tries
 * with one idempotency key get one version while the shares stay, so that a try which does not see the job of
 * another adds it to the class where that is. Errors: `model_not_found`, `model_version_not_found`,
 * `model_unavailable`.
 */
export function chooseModel(
  reference: string,
  idempotencyKey: string | undefined,
  { catalogue, random }: { readonly catalogue: ModelCatalogue; readonly random: Random },
): Result<ModelManifest, Failure> {
  const { name, version } = splitReference(reference);
  const of = idempotencyKey === undefined ? random : { unit: () => unitOf(idempotencyKey) };
  return catalogue.choose(name, version, of);
}

/** A number in [0, 1) that is the same for the same text. */
function unitOf(text: string): number {
  return createHash('sha256').update(text).digest().readUInt32BE(0) / 2 ** 32;
}
