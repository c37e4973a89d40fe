/** What lies in the folders of a repository, by names and sizes alone. */
import { lstat, readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Result } from '@inferry/runtime';
import { lockFile } from '../pull/lock-file.ts';

/** Names of the entries that are not hidden, in order. Links are what they lead to, as when models are read. */
export async function visible(
  folder: string,
): Promise<{ readonly files: readonly string[]; readonly folders: readonly string[] }> {
  const files: string[] = [];
  const folders: string[] = [];
  for (const name of (await readdir(folder)).toSorted()) {
    if (name.startsWith('.')) continue;
    const isFolder = (await stat(join(folder, name)).catch(() => undefined))?.isDirectory();
    (isFolder === true ? folders : files).push(name);
  }
  return { files, folders };
}

/** Sub-folders that hold a model.onnx, or are called by a number as those of a simulated model. */
export async function versionFolders(folder: string): Promise<readonly string[]> {
  const found: string[] = [];
  for (const name of (await visible(folder)).folders) {
    const isNumber = /^[1-9]\d*$/u.test(name);
    if (isNumber || (await isThere(join(folder, name, 'model.onnx')))) found.push(name);
  }
  return found;
}

/** Labels and shares of traffic: they belong to the repository, and not to a version that is brought there. */
export const routingFile = 'versions.yaml';

/** Had by whoever changes which versions of a model there are, or what it says of them; in the model's folder. */
export function lockVersions(
  folder: string,
  model: string,
): Promise<Result<() => Promise<void>, string>> {
  return lockFile(join(folder, versionsLock), `is changing the versions of ${model}`);
}

export const versionsLock = `.${routingFile}.lock`;

export async function isThere(path: string): Promise<boolean> {
  return (await stat(path).catch(() => undefined)) !== undefined;
}

export interface Extent {
  readonly files: number;
  readonly bytes: number;
}

/** Of all files below, hidden ones too; links to folders are not followed. Nothing where nothing is. */
export async function extentOf(path: string): Promise<Extent> {
  const found = await lstat(path).catch(() => undefined);
  if (found === undefined) return { files: 0, bytes: 0 };
  if (!found.isDirectory()) {
    return { files: 1, bytes: (await stat(path).catch(() => found)).size };
  }
  let [files, bytes] = [0, 0];
  for (const name of await readdir(path)) {
    const inner = await extentOf(join(path, name));
    files += inner.files;
    bytes += inner.bytes;
  }
  return { files, bytes };
}

/** What describes the model beside its ONNX file. */
export async function formOf(folder: string): Promise<'model.yaml' | 'config.pbtxt' | 'plain'> {
  for (const name of ['model.yaml', 'config.pbtxt'] as const) {
    if (await isThere(join(folder, name))) return name;
  }
  return 'plain';
}
