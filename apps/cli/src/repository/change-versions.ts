/** Changes versions.yaml of one model: one process at a time, checked before it is written, at once. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import {
  editVersionsYaml,
  type ModelVersions,
  parseVersionsYaml,
  problemText,
  readVersions,
  type VersionsEdit,
} from '@inferry/models';
import { err, ok, type Result } from '@inferry/runtime';
import { replaceFile } from '../replace-file.ts';
import { isThere, lockVersions } from './folders.ts';

/** What versions.yaml of a model says, completed, and what there is to name. */
export interface VersionsState {
  readonly labels: Readonly<Record<string, string>>;
  /** Weights by version. */
  readonly traffic: Readonly<Record<string, number>>;
  readonly previous: Readonly<Record<string, string>>;
  /** All in the folder, from the oldest. */
  readonly there: readonly string[];
  /** What requests get that name no version, where there is neither label nor traffic. */
  readonly latestServed: string;
}

export interface Changed extends Omit<VersionsState, 'latestServed' | 'there'> {
  readonly file: string;
  readonly isChanged: boolean;
  /** From the oldest. */
  readonly served: readonly string[];
}

/** An edit that says what is said already changes nothing. The error is for a person. */
export async function changeVersions(
  directory: string,
  model: string,
  decide: (state: VersionsState) => Result<VersionsEdit, string>,
): Promise<Result<Changed, string>> {
  const folder = join(directory, model);
  if (!(await isThere(folder))) return err(`${folder} does not exist`);
  try {
    const lock = await lockVersions(folder, model);
    if (!lock.ok) return lock;
    try {
      return await changeLocked(folder, decide);
    } finally {
      await lock.value();
    }
  } catch (cause) {
    if (!(cause instanceof Error && 'syscall' in cause)) throw cause;
    return err(cause.message);
  }
}

async function changeLocked(
  folder: string,
  decide: (state: VersionsState) => Result<VersionsEdit, string>,
): Promise<Result<Changed, string>> {
  const versions = await readVersions(folder);
  if (!versions.ok) return err(versions.error.map(problemText).join('\n'));
  const { file, there } = versions.value;
  if (there.length === 0) return err(`${folder} has no version`);
  const before = stateOf(versions.value);
  const edit = decide(before);
  if (!edit.ok) return edit;
  const text = versions.value.versionsYaml === null ? '' : await readFile(file, 'utf8');
  const edited = editVersionsYaml(text, edit.value);
  if (!edited.ok) return err(`${file}: ${edited.error}`);
  const parsed = parseVersionsYaml(file, edited.value);
  if (!parsed.ok) return err(parsed.error.map(problemText).join('\n'));
  const chosen = versions.value.choose(parsed.value);
  if (!chosen.ok) {
    return err(`${file} is as it was:\n${chosen.error.map(problemText).join('\n')}`);
  }
  const { labels, previous, traffic } = { ...before, ...edit.value };
  const isChanged = !isSame(before, { labels, previous, traffic });
  if (isChanged) await replaceFile(file, edited.value);
  return ok({ file, isChanged, labels, traffic, previous, served: chosen.value.served });
}

function stateOf({ choose, there, versionsYaml }: ModelVersions): VersionsState {
  const { labels = {}, previous = {}, traffic = {} } = versionsYaml?.config ?? {};
  // Where a label names what is not there any more, a change is to put that right.
  const chosen = choose(versionsYaml);
  const served = chosen.ok ? chosen.value.served : there;
  return { labels, traffic, previous, there, latestServed: served.at(-1) ?? '' };
}

function isSame(a: Pick<VersionsState, 'labels' | 'previous' | 'traffic'>, b: typeof a): boolean {
  return (['labels', 'previous', 'traffic'] as const).every((section) => {
    const entries = Object.entries(a[section]);
    return (
      entries.length === Object.keys(b[section]).length &&
      entries.every(([key, value]) => b[section][key] === value)
    );
  });
}
