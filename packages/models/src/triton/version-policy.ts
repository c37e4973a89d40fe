/** `version_policy`: which of the version folders are served, where versions.yaml has no policy. */
import { err, ok, type Result } from '@inferry/runtime';
import type { FileProblem } from '../file-problem.ts';
import { type ModelFolder, readSmallText } from '../model-folder.ts';
import type { ChosenByPolicy, ParsedVersionsYaml } from '../versions-yaml.ts';
import { compareVersions } from '../versions.ts';
import { Notes } from './notes.ts';
import { readConfig } from './read-config.ts';
import type { TritonConfig } from './triton-config.ts';

/** `folders` are those whose names are whole numbers without a leading 0. */
export function chosenVersions(
  { version_policy: given = {} }: TritonConfig,
  {
    folders,
    versionsYaml,
  }: { readonly folders: readonly string[]; readonly versionsYaml: ParsedVersionsYaml | null },
  notes: Notes,
): ChosenByPolicy {
  const there = folders.toSorted(compareVersions);
  const { all, latest, specific } = given;
  if (there.length === 0) {
    notes.problem(
      [],
      'there is no version: expected a folder whose name is a number, as in 1/model.onnx',
    );
    return { policy: '', versions: [], isOfLatest: false };
  }
  // Nothing is asked of a policy that does not count.
  const isOverruled = versionsYaml?.config.policy !== undefined;
  if (isOverruled || all !== undefined) {
    return { policy: 'all (config.pbtxt)', versions: there, isOfLatest: false };
  }
  if (specific === undefined) {
    const count = Math.max(1, latest?.num_versions ?? 1);
    const policy = `latest ${count} (config.pbtxt)`;
    return { policy, versions: there.slice(-count), isOfLatest: true };
  }
  const wanted = (specific.versions ?? []).map(String);
  if (wanted.length === 0) notes.problem(['version_policy', 'specific'], 'names no version');
  const versions = there.filter((version) => wanted.includes(version));
  for (const [i, version] of wanted.entries()) {
    if (there.includes(version)) continue;
    const path = ['version_policy', 'specific', 'versions', i];
    const message = `is ${version}, which is not there; there is: ${there.slice(-10).join(', ')}`;
    // As in Triton the others are served without it.
    if (versions.length > 0) notes.warn(path, message);
    else notes.problem(path, message);
  }
  const policy = `specific ${versions.join(', ')} (config.pbtxt)`;
  return { policy, versions, isOfLatest: false };
}

/** What the model's config.pbtxt says of its versions, and nothing else of it. */
export async function readVersionPolicy(
  { configFile, integerFolders }: ModelFolder,
  versionsYaml: ParsedVersionsYaml | null,
): Promise<Result<ChosenByPolicy, readonly FileProblem[]>> {
  const text = await readSmallText(configFile);
  if (!text.ok) return err([{ file: configFile, line: null, message: text.error }]);
  const read = readConfig(configFile, text.value);
  if (!read.ok) return read;
  const notes = new Notes(read.value);
  const policy = chosenVersions(
    read.value.config,
    { folders: integerFolders, versionsYaml },
    notes,
  );
  return notes.problems.length === 0 ? ok(policy) : err(notes.problems);
}
