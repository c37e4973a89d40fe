/** Which version of a model a name stands for. */
import { type Failure, failure, type ModelManifest } from '@inferry/contracts';
import { err, ok, type Result } from '@inferry/runtime';

const integerPattern = /^[1-9][0-9]*$/u;
const namesShownMax = 10;
const nameShownChars = 128;

/**
 * Orders versions from the oldest: labels first, in code unit order, then positive integers by value.
 * The last one is `latest`.
 */
export function compareVersions(a: string, b: string): number {
  const aIsInteger = integerPattern.test(a);
  if (aIsInteger !== integerPattern.test(b)) return aIsInteger ? 1 : -1;
  // Without leading zeros the longer integer is the larger one, whatever its length.
  if (aIsInteger && a.length !== b.length) return a.length - b.length;
  if (a === b) return 0;
  return a < b ? -1 : 1;
}

/** The default version of the manifests of one model; undefined when there is none. */
export function latestVersion(manifests: readonly ModelManifest[]): ModelManifest | undefined {
  return manifests.toSorted((a, b) => compareVersions(a.version, b.version)).at(-1);
}

/** Fails with `model_not_found` or `model_version_not_found`, listing up to 10 that are there. */
export function resolveModel(
  manifests: readonly ModelManifest[],
  name: string,
  version?: string,
): Result<ModelManifest, Failure> {
  const versions = manifests.filter((manifest) => manifest.name === name);
  const latest = latestVersion(versions);
  if (latest === undefined) {
    return err(modelNotFound(name, [...new Set(manifests.map((manifest) => manifest.name))]));
  }
  if (version === undefined) return ok(latest);
  const found = versions.find((manifest) => manifest.version === version);
  if (found !== undefined) return ok(found);
  const there = versions.map((manifest) => manifest.version);
  return err(versionNotFound(name, version, there));
}

export function modelNotFound(name: string, there: readonly string[]): Failure {
  const models = there.length === 0 ? 'there are none' : `there are: ${listed(there)}`;
  return failure('model_not_found', `no model is called "${shown(name)}"; ${models}`);
}

/** It is known, and served no more: an operator wanted that. */
export function modelUnloaded(name: string): Failure {
  return failure('model_unavailable', `Model "${shown(name)}" was unloaded.`);
}

export function versionNotFound(name: string, version: string, there: readonly string[]): Failure {
  return failure(
    'model_version_not_found',
    `model "${name}" has no version "${shown(version)}"; it has: ${listed(there.toSorted(compareVersions))}`,
  );
}

function listed(names: readonly string[]): string {
  const more = names.length - namesShownMax;
  const some = names.slice(0, namesShownMax).join(', ');
  return more > 0 ? `${some} and ${more} more` : some;
}

/** What a caller sent is echoed up to the longest length a name can have. */
function shown(name: string): string {
  return name.length > nameShownChars ? `${name.slice(0, nameShownChars)}...` : name;
}
