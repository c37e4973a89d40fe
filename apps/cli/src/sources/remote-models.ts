/** Models and versions in a bucket. What was pushed tells all of itself; of other files little is known. */
import { err, ok, type Result } from '@inferry/runtime';
import { listed } from '../pull/model-root.ts';
import type { ModelReference } from '../model-reference.ts';
import type { BucketTree } from './bucket-tree.ts';
import { objectsMax, readPushed, treeAt } from './find-in-s3.ts';
import { manifestName, pushedFolder, type PushedFile, versionAt } from './pushed-version.ts';
import { below, parentOf, type S3Location, s3Text } from './s3-location.ts';
import type { S3Store } from './s3-store.ts';

/** A version in a bucket. */
export interface RemoteVersion {
  readonly name: string;
  readonly version: string;
  readonly form: string;
  readonly bytes: number;
  /** Null where it was not pushed, but put there by somebody else. */
  readonly digest: string | null;
  readonly files: readonly (Pick<PushedFile, 'bytes' | 'path'> & {
    readonly sha256: string | null;
  })[];
}

/** Models that lie in a folder, or the one that lies there itself, in order. */
export async function remoteVersions(
  store: S3Store,
  location: S3Location,
): Promise<Result<readonly RemoteVersion[], string>> {
  const tree = await treeAt(store, location);
  if (!tree.ok) return tree;
  const { look, pushed } = tree.value;
  const own = pushed.has('') || (await plainVersions(tree.value, '')).length > 0;
  const folders = own
    ? ['']
    : [...new Set([...(await look('')).folders, ...pushed.keys()])].filter(
        (folder) => !folder.includes('/'),
      );
  const found: RemoteVersion[] = [];
  for (const folder of folders.toSorted()) {
    const model = folder === '' ? location : below(location, folder);
    const name = parentOf(model)?.name ?? model.bucket;
    const known = pushed.get(folder) ?? [];
    for (const version of known) {
      const read = await readPushed(store, model, version);
      if (!read.ok) return read;
      if (read.value === undefined) continue;
      const { digest, files, form } = read.value;
      found.push({ name, version, form, digest, files, bytes: sum(files) });
    }
    // As a pull sees it: where something was pushed, that alone counts.
    if (known.length > 0) continue;
    for (const version of await plainVersions(tree.value, folder)) {
      found.push({ name, ...(await plainVersion(tree.value, folder, version)) });
    }
  }
  return ok(found);
}

/** Removes a model or a version. First what makes it one, so that nobody finds a part; the value counts objects. */
export async function removeRemote(
  store: S3Store,
  location: S3Location,
  { model, version }: ModelReference,
): Promise<Result<number, string>> {
  const folder = below(location, model);
  const objects = await store.list(`${folder.key}/`, objectsMax);
  if (!objects.ok) return err(`${s3Text(folder)}: ${objects.error.text}`);
  const keys = objects.value.map(({ key }) => key);
  const isOfVersion = (key: string): boolean =>
    version === null ||
    key.startsWith(`${versionAt(folder, version).key}/`) ||
    key.startsWith(`${below(folder, version).key}/`);
  const isManifest = (key: string): boolean =>
    key.includes(`/${pushedFolder}/`) && key.endsWith(`/${manifestName}`);
  const going = keys.filter(isOfVersion);
  const ordered = [...going.filter(isManifest), ...going.filter((key) => !isManifest(key))];
  if (ordered.length === 0) return err(`${s3Text(folder)} holds nothing`);
  for (const key of ordered) {
    const removed = await store.remove(key);
    if (!removed.ok) return err(`s3://${store.bucket}/${key}: ${removed.error.text}`);
  }
  return ok(ordered.length);
}

/** Why a version is not among those that were found; undefined when one is. */
export function missing(
  found: readonly RemoteVersion[],
  { model, version }: ModelReference,
): string | undefined {
  const ofModel = found.filter(({ name }) => name === model);
  if (ofModel.length === 0) {
    const names = [...new Set(found.map(({ name }) => name))];
    return `no model is called "${model}"${names.length > 0 ? `; there are: ${listed(names)}` : ''}`;
  }
  if (version === null || ofModel.some((one) => one.version === version)) return undefined;
  return `${model} has no version ${version}; it has: ${listed(ofModel.map((one) => one.version))}`;
}

async function plainVersions({ look }: BucketTree, folder: string): Promise<readonly string[]> {
  const { files, folders } = await look(folder);
  const hasConfig = files.includes('model.yaml') || files.includes('config.pbtxt');
  const found: string[] = [];
  for (const name of folders) {
    const inside = (await look(folder === '' ? name : `${folder}/${name}`)).files;
    const isNumber = /^[1-9]\d*$/u.test(name);
    if (inside.includes('model.onnx') || (isNumber && hasConfig)) found.push(name);
  }
  return found;
}

async function plainVersion(
  { files, look }: BucketTree,
  folder: string,
  version: string,
): Promise<Omit<RemoteVersion, 'name'>> {
  const inside = (await look(folder)).files;
  const form = ['model.yaml', 'config.pbtxt'].find((name) => inside.includes(name)) ?? 'plain';
  const start = folder === '' ? `${version}/` : `${folder}/${version}/`;
  const cut = folder === '' ? 0 : folder.length + 1;
  const own = files
    .filter(({ path }) => path.startsWith(start))
    .map(({ bytes, path }) => ({ path: path.slice(cut), bytes, sha256: null }));
  return { version, form, digest: null, files: own, bytes: sum(own) };
}

function sum(files: readonly { readonly bytes: number }[]): number {
  return files.reduce((total, { bytes }) => total + bytes, 0);
}
