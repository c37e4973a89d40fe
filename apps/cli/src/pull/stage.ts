/**
 * Makes what was fetched into a model folder, beside the repository, and reads it as a gateway would:
 * only what is served whole may land.
 */
import { cp, mkdir, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { ModelManifest } from '@inferry/contracts';
import { problemText } from '@inferry/models';
import { err, ok, type Result } from '@inferry/runtime';
import { sha256Of } from './download.ts';
import { isThere, routingFile, versionFolders, visible } from '../repository/folders.ts';
import { readAmong } from '../repository/neighbours.ts';
import type { ModelRoot } from './model-root.ts';

export interface Staged {
  readonly name: string;
  /** The model folder: the versions, and what they have in common with those that are there. */
  readonly folder: string;
  /** Those that were fetched. */
  readonly versions: readonly string[];
  /** Those among them that are there already. */
  readonly taken: readonly string[];
  /** Entries beside the versions that differ from those that are there, or are new to a model that is. */
  readonly changed: readonly string[];
  readonly hasModel: boolean;
  readonly manifests: readonly ModelManifest[];
  readonly warnings: readonly string[];
}

export interface Staging {
  readonly root: ModelRoot;
  readonly name: string;
  readonly version: string | null;
  readonly modelsDir: string;
  /** An empty folder of its own, on the file system of the repository. */
  readonly folder: string;
  readonly isReplacing: boolean;
}

/** The error names what is there already, or what is wrong with the model. */
export async function stageModel(staging: Staging): Promise<Result<Staged, string>> {
  const { isReplacing, modelsDir, name } = staging;
  const folder = join(staging.folder, name);
  const versions = await arrange(staging, folder);
  if (!versions.ok) return versions;
  const there = join(modelsDir, name);
  const hasModel = await isThere(there);
  const taken: string[] = [];
  for (const one of versions.value) if (await isThere(join(there, one))) taken.push(one);
  if (taken.length > 0 && !isReplacing) {
    return err(`${there} already has version ${taken.join(', ')}; --replace replaces it`);
  }
  const changed = hasModel ? await differences(folder, there, versions.value) : [];
  if (changed.length > 0 && !isReplacing) {
    return err(
      `${changed.join(', ')} would change for the versions that ${there} has; --replace replaces it`,
    );
  }
  const added = hasModel ? await addCommon(folder, there) : [];
  const { models, problems, warnings } = await readAmong(staging.folder, name, modelsDir);
  const told = (text: string): string => text.replaceAll(`${staging.folder}/`, '');
  if (problems.length > 0) return err(problems.map(problemText).map(told).join('\n'));
  if (models.length === 0) {
    const why = warnings.map(problemText).map(told);
    return err(['no version of it would be served', ...why].join('\n'));
  }
  for (const entry of added) await rm(join(folder, entry), { recursive: true });
  return ok({
    name,
    folder,
    versions: versions.value,
    taken,
    changed,
    hasModel,
    manifests: models,
    warnings: warnings.map(problemText).map(told),
  });
}

/** Puts the files where a repository has them; the value is the names of the versions. */
async function arrange(
  { name, root, version }: Staging,
  folder: string,
): Promise<Result<readonly string[], string>> {
  if (root.kind === 'version') {
    const own = version ?? '1';
    await mkdir(folder);
    await rename(root.folder, join(folder, own));
    if (root.modelFile !== 'model.onnx') {
      await rename(join(folder, own, root.modelFile), join(folder, own, 'model.onnx'));
    }
    return ok([own]);
  }
  await rename(root.folder, folder);
  // Which versions have a label or traffic is for the repository to say that they come into.
  await rm(join(folder, routingFile), { force: true });
  const versions = await versionFolders(folder);
  if (version === null) return ok(versions);
  if (!versions.includes(version)) {
    return err(`${name} has no version ${version} there; it has: ${versions.join(', ')}`);
  }
  for (const other of versions) {
    if (other !== version) await rm(join(folder, other), { recursive: true });
  }
  return ok([version]);
}

/** Copies what the model has beside its versions and the staged folder has not; the value is what it copied. */
async function addCommon(folder: string, there: string): Promise<readonly string[]> {
  const { files, folders } = await visible(there);
  const versions = await versionFolders(there);
  const added: string[] = [];
  for (const entry of [...files, ...folders]) {
    if (versions.includes(entry) || (await isThere(join(folder, entry)))) continue;
    await cp(join(there, entry), join(folder, entry), { recursive: true, dereference: true });
    added.push(entry);
  }
  return added;
}

async function differences(
  folder: string,
  there: string,
  versions: readonly string[],
): Promise<readonly string[]> {
  const { files, folders } = await visible(folder);
  const changed: string[] = [];
  for (const entry of [...files, ...folders]) {
    if (versions.includes(entry)) continue;
    if (!(await isSame(join(folder, entry), join(there, entry)))) changed.push(entry);
  }
  return changed;
}

async function isSame(a: string, b: string): Promise<boolean> {
  const [one, other] = [await stat(a), await stat(b).catch(() => undefined)];
  if (other === undefined || one.isDirectory() !== other.isDirectory()) return false;
  if (!one.isDirectory()) {
    return one.size === other.size && (await sha256Of(a)) === (await sha256Of(b));
  }
  const [inA, inB] = [await visible(a), await visible(b)];
  const names = [...inA.files, ...inA.folders];
  if (names.join('/') !== [...inB.files, ...inB.folders].join('/')) return false;
  for (const name of names) if (!(await isSame(join(a, name), join(b, name)))) return false;
  return true;
}
