/** The versions of a model that can be read, of those that are to be served. */
import type { Result } from '@inferry/runtime';
import type { FileProblem } from './file-problem.ts';
import type { ChosenVersions } from './versions-yaml.ts';

/** Older versions that are looked at, where none that was chosen can be read. */
const olderMax = 3;

export interface LoadedVersions<T> {
  readonly loaded: readonly T[];
  readonly problems: readonly { readonly version: string; readonly problem: FileProblem }[];
  readonly chosen: ChosenVersions;
}

/**
 * Those that were chosen, but for `without`. Where none of them can be read and the policy asks for the latest, it is
 * the latest before them that can: what was served before a broken version came is served after a restart too.
 */
export async function loadVersions<T>(
  chosen: ChosenVersions,
  without: readonly string[],
  load: (version: string) => Promise<Result<T, readonly FileProblem[]>>,
): Promise<LoadedVersions<T>> {
  const loaded: T[] = [];
  const problems: { version: string; problem: FileProblem }[] = [];
  const add = async (version: string): Promise<boolean> => {
    const read = await load(version);
    if (read.ok) loaded.push(read.value);
    else problems.push(...read.error.map((problem) => ({ version, problem })));
    return read.ok;
  };
  const isLeftIn = (version: string): boolean => !without.includes(version);
  for (const version of chosen.served.filter(isLeftIn)) await add(version);
  if (loaded.length > 0 || !chosen.isOfLatest) return { loaded, problems, chosen };
  const older = chosen.choice.unserved.filter(isLeftIn).toReversed().slice(0, olderMax);
  for (const version of older) {
    if (await add(version)) return { loaded, problems, chosen: withInstead(chosen, version) };
  }
  return { loaded, problems, chosen };
}

function withInstead(chosen: ChosenVersions, instead: string): ChosenVersions {
  const unserved = chosen.choice.unserved.filter((version) => version !== instead);
  return { ...chosen, served: [instead], choice: { ...chosen.choice, unserved, instead } };
}
