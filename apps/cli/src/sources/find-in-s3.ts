/** What a location in S3 stands for: a version or model that was pushed, a folder of files, or one file. */
import { basename } from 'node:path';
import { isModelVersion } from '@inferry/contracts';
import { err, ok, type Result } from '@inferry/runtime';
import { findModelRoot, listed } from '../pull/model-root.ts';
import { type FileForm, formOf, nameFrom } from '../pull/options.ts';
import { type BucketTree, type TreeFile, treeOf } from './bucket-tree.ts';
import {
  manifestAt,
  manifestBytesMax,
  parseManifest,
  type PushedVersion,
} from './pushed-version.ts';
import { told } from './s3-byte-source.ts';
import { below, parentOf, type S3Location, s3Text } from './s3-location.ts';
import type { S3Store } from './s3-store.ts';

export type FoundInS3 =
  | {
      readonly kind: 'pushed';
      readonly model: S3Location;
      /** At least one. */
      readonly versions: readonly PushedVersion[];
    }
  | {
      readonly kind: 'files';
      readonly files: readonly TreeFile[];
      /** Of versions, which may be empty. */
      readonly folders: readonly string[];
      /** The model's name as far as the location tells. */
      readonly suggestion: string;
      /** Where the location itself is that of a version. */
      readonly version: string | null;
    }
  | { readonly kind: 'file'; readonly form: FileForm; readonly suggestion: string };

export interface Sought {
  readonly location: S3Location;
  /** The model that is meant where there are several. */
  readonly name: string | null;
  readonly version: string | null;
}

/** Of all objects below a location. */
export const objectsMax = 100_000;

export async function findInS3(store: S3Store, sought: Sought): Promise<Result<FoundInS3, string>> {
  const { location, name, version } = sought;
  const shown = s3Text(location);
  const listing = await treeAt(store, location);
  if (!listing.ok) return listing;
  const tree = listing.value;
  if (tree.files.length === 0 && tree.pushed.size === 0) return findAlone(store, sought);
  const here = tree.pushed.get('');
  if (here !== undefined) return pushedVersions(store, location, here, version);
  const around = parentOf(location);
  if (around !== undefined && /^[1-9]\d*$/u.test(around.name)) {
    const inVersion = await findModelRoot('', null, tree.look);
    if (inVersion.ok && inVersion.value.kind === 'version' && inVersion.value.folder === '') {
      return filesOfVersion(store, around.parent, around.name, version);
    }
  }
  const models = [...tree.pushed.keys()].filter((folder) => !folder.includes('/'));
  if (models.length > 0) {
    const all = [...new Set([...models, ...(await tree.look('')).folders])].toSorted();
    const meant = name ?? (all.length === 1 ? all[0] : undefined);
    const versions = tree.pushed.get(meant ?? '');
    if (meant !== undefined && versions !== undefined) {
      return pushedVersions(store, below(location, meant), versions, version);
    }
    if (meant === undefined || !all.includes(meant)) {
      return err(`${shown} holds several models, of which --name chooses one: ${listed(all)}`);
    }
  }
  const root = await findModelRoot('', name, tree.look);
  if (!root.ok) return err(`${shown} ${root.error}`);
  const { folder, kind } = root.value;
  const inside = folder === '' ? '' : `${folder}/`;
  const files =
    version === null || kind === 'version'
      ? tree.files
      : await withoutOthers(tree, inside, version);
  return ok({
    kind: 'files',
    files: files.filter(({ path }) => path.startsWith(inside)),
    folders: await numberedIn(tree, inside, version),
    suggestion: nameFrom(around?.name ?? location.bucket),
    version: null,
  });
}

/** All that lies below a location. */
export async function treeAt(
  store: S3Store,
  location: S3Location,
): Promise<Result<BucketTree, string>> {
  const prefix = location.key === '' ? '' : `${location.key}/`;
  const objects = await store.list(prefix, objectsMax);
  if (!objects.ok) return err(`${s3Text(location)}: ${objects.error.text}`);
  const tree = treeOf(objects.value, prefix);
  return tree.ok ? tree : err(`${s3Text(location)}: ${tree.error}`);
}

/** Undefined where that version was not pushed, or not to its end. */
export async function readPushed(
  store: S3Store,
  model: S3Location,
  version: string,
): Promise<Result<PushedVersion | undefined, string>> {
  const at = manifestAt(model, version);
  const text = await store.readText(at.key, manifestBytesMax);
  if (!text.ok) {
    return text.error.kind === 'absent' ? ok(undefined) : err(`${s3Text(at)}: ${text.error.text}`);
  }
  const pushed = parseManifest(text.value.text);
  if (!pushed.ok) return err(`${s3Text(at)} ${pushed.error}`);
  return pushed.value.version === version
    ? ok(pushed.value)
    : err(`${s3Text(at)} is that of version ${pushed.value.version}`);
}

/** Nothing lies below the location: it may be a pushed version, or a file. */
async function findAlone(
  store: S3Store,
  { location, version }: Sought,
): Promise<Result<FoundInS3, string>> {
  const shown = s3Text(location);
  const around = parentOf(location);
  if (around === undefined) return err(`${shown} is empty`);
  const { name, parent } = around;
  if (isModelVersion(name)) {
    const pushed = await readPushed(store, parent, name);
    if (!pushed.ok) return pushed;
    if (pushed.value !== undefined) {
      const contradiction = contradicts(name, version);
      if (contradiction !== undefined) return err(contradiction);
      return ok({ kind: 'pushed', model: parent, versions: [pushed.value] });
    }
  }
  const form = formOf(location.key);
  const head = form === undefined ? undefined : told(await store.head(location.key));
  if (form !== undefined && head?.ok === true) {
    return ok({ kind: 'file', form, suggestion: nameFrom(basename(location.key)) });
  }
  return err(
    `${shown} holds nothing: it must be the folder of a model, one of its versions, or a file that ends in .onnx, .tar, .tar.gz or .tgz`,
  );
}

async function pushedVersions(
  store: S3Store,
  model: S3Location,
  there: readonly string[],
  wanted: string | null,
): Promise<Result<FoundInS3, string>> {
  if (wanted !== null && !there.includes(wanted)) {
    return err(`${s3Text(model)} has no version ${wanted}; it has: ${listed(there)}`);
  }
  const versions: PushedVersion[] = [];
  for (const version of wanted === null ? there : [wanted]) {
    const pushed = await readPushed(store, model, version);
    if (!pushed.ok) return pushed;
    // Removed since the bucket was listed.
    if (pushed.value !== undefined) versions.push(pushed.value);
  }
  return versions.length > 0
    ? ok({ kind: 'pushed', model, versions })
    : err(`${s3Text(model)} holds no version any more`);
}

/** The version alone has not what its model has beside its versions. */
async function filesOfVersion(
  store: S3Store,
  model: S3Location,
  version: string,
  wanted: string | null,
): Promise<Result<FoundInS3, string>> {
  const contradiction = contradicts(version, wanted);
  if (contradiction !== undefined) return err(contradiction);
  const tree = await treeAt(store, model);
  if (!tree.ok) return tree;
  return ok({
    kind: 'files',
    files: await withoutOthers(tree.value, '', version),
    folders: await numberedIn(tree.value, '', version),
    suggestion: parentOf(model)?.name ?? model.bucket,
    version,
  });
}

/** What is not in the folder of another version. */
async function withoutOthers(
  { files, look }: BucketTree,
  inside: string,
  version: string,
): Promise<readonly TreeFile[]> {
  const others: string[] = [];
  for (const folder of (await look(inside.slice(0, -1))).folders) {
    const path = `${inside}${folder}`;
    const isVersion = /^[1-9]\d*$/u.test(folder) || (await look(path)).files.includes('model.onnx');
    if (isVersion && folder !== version) others.push(`${path}/`);
  }
  return files.filter(({ path }) => !others.some((other) => path.startsWith(other)));
}

/** Folders that are called as versions are; `wanted` where only one is. */
async function numberedIn(
  { look }: BucketTree,
  inside: string,
  wanted: string | null,
): Promise<readonly string[]> {
  const numbered = (await look(inside.slice(0, -1))).folders.filter((one) => isNumber(one));
  return numbered
    .filter((one) => wanted === null || one === wanted)
    .map((one) => `${inside}${one}`);
}

function isNumber(name: string): boolean {
  return /^[1-9]\d*$/u.test(name);
}

function contradicts(version: string, wanted: string | null): string | undefined {
  if (wanted === null || wanted === version) return undefined;
  return `the location is that of version ${version}, and --version says ${wanted}`;
}
