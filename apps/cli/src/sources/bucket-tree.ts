/** A listing of a bucket as the folders that it stands for. */
import { err, ok, type Result } from '@inferry/runtime';
import { isModelVersion } from '@inferry/contracts';
import type { Listed } from '../pull/model-root.ts';
import { isHidden, manifestName, pushedFolder } from './pushed-version.ts';
import { keyProblem } from './s3-location.ts';
import type { StoredObject } from './s3-store.ts';

/** An object that stands for a file. */
export interface TreeFile extends StoredObject {
  /** From the folder that was listed on. */
  readonly path: string;
}

export interface BucketTree {
  /** All that are not hidden. */
  readonly files: readonly TreeFile[];
  readonly look: (folder: string) => Promise<Listed>;
  /** Versions that were pushed, by the model's folder; an empty one is the folder that was listed. */
  readonly pushed: ReadonlyMap<string, readonly string[]>;
  /** Of the manifests of pushed versions, by `folder/version`. */
  readonly etags: ReadonlyMap<string, string>;
}

/** The error names a key. */
export function treeOf(
  objects: readonly StoredObject[],
  prefix: string,
): Result<BucketTree, string> {
  const files: TreeFile[] = [];
  const folders = new Map<string, { files: Set<string>; folders: Set<string> }>();
  const folderAt = (folder: string): { files: Set<string>; folders: Set<string> } => {
    const there = folders.get(folder) ?? { files: new Set(), folders: new Set() };
    folders.set(folder, there);
    return there;
  };
  const pushed = new Map<string, string[]>();
  const etags = new Map<string, string>();
  for (const object of objects) {
    const path = object.key.slice(prefix.length);
    if (path === '') continue;
    const [version, model] = pushedAt(path);
    if (version !== undefined && model !== undefined) {
      pushed.set(model, [...(pushed.get(model) ?? []), version]);
      etags.set(`${model}/${version}`, object.etag);
    }
    const parts = path.split('/');
    const around = parts.slice(0, -1);
    if (isHidden(around.join('/'))) continue;
    // Also of an object that stands for a folder, or keeps one that is empty.
    for (const [depth, name] of around.entries()) {
      folderAt(around.slice(0, depth).join('/')).folders.add(name);
    }
    if (path.endsWith('/') || isHidden(path)) continue;
    const problem = keyProblem(path);
    if (problem !== undefined) return err(problem);
    files.push({ ...object, path });
    folderAt(around.join('/')).files.add(parts.at(-1) ?? '');
  }
  return ok({
    files,
    pushed,
    etags,
    look: async (folder) => {
      const { files: inside, folders: below } = folderAt(folder === '.' ? '' : folder);
      return { files: [...inside].toSorted(), folders: [...below].toSorted() };
    },
  });
}

/** The version and the model's folder, of the path of a manifest. */
function pushedAt(path: string): readonly [version?: string, model?: string] {
  const parts = path.split('/');
  const [name, version = '', folder] = parts.toReversed();
  const isManifest = name === manifestName && folder === pushedFolder && isModelVersion(version);
  const model = parts.slice(0, -3).join('/');
  const isTaken = isManifest && !isHidden(model) && keyProblem(path) === undefined;
  return isTaken ? [version, model] : [];
}
