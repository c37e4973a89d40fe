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

/** Objects that stand for folders alone, as some tools write them, are left out. The error names a key. */
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
    if (path === '' || path.endsWith('/')) continue;
    const [version, model] = pushedAt(path);
    if (version !== undefined && model !== undefined) {
      pushed.set(model, [...(pushed.get(model) ?? []), version]);
      etags.set(`${model}/${version}`, object.etag);
    }
    if (isHidden(path)) continue;
    const problem = keyProblem(path);
    if (problem !== undefined) return err(problem);
    files.push({ ...object, path });
    const parts = path.split('/');
    for (let depth = 0; depth < parts.length; depth += 1) {
      const folder = folderAt(parts.slice(0, depth).join('/'));
      (depth === parts.length - 1 ? folder.files : folder.folders).add(parts[depth] ?? '');
    }
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
  return isManifest && !isHidden(model) ? [version, model] : [];
}
