/** `version_policy`: which of the version folders are served. */
import { compareVersions } from '../versions.ts';
import type { Notes } from './notes.ts';
import type { TritonConfig } from './triton-config.ts';

/** From the oldest. `folders` are those whose names are whole numbers without a leading 0. */
export function chosenVersions(
  { version_policy: policy = {} }: TritonConfig,
  folders: readonly string[],
  notes: Notes,
): readonly string[] {
  const there = folders.toSorted(compareVersions);
  const { all, latest, specific } = policy;
  if (there.length === 0) {
    notes.problem(
      [],
      'there is no version: expected a folder whose name is a number, as in 1/model.onnx',
    );
    return [];
  }
  if (all !== undefined) return there;
  if (specific === undefined) return there.slice(-Math.max(1, latest?.num_versions ?? 1));
  const wanted = (specific.versions ?? []).map(String);
  if (wanted.length === 0) notes.problem(['version_policy', 'specific'], 'names no version');
  const chosen = there.filter((version) => wanted.includes(version));
  for (const [i, version] of wanted.entries()) {
    if (there.includes(version)) continue;
    const path = ['version_policy', 'specific', 'versions', i];
    const message = `is ${version}, which is not there; there is: ${there.slice(-10).join(', ')}`;
    // As in Triton the others are served without it.
    if (chosen.length > 0) notes.warn(path, message);
    else notes.problem(path, message);
  }
  return chosen;
}
