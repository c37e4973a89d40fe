/** The files that a version of a model consists of, and whether it would be served. */
import { mkdir, mkdtemp, readdir, realpath, rm, stat, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { problemText } from '@inferry/models';
import { err, ok, type Result } from '@inferry/runtime';
import { sha256Of } from '../pull/download.ts';
import { formOf, routingFile, versionFolders, visible } from '../repository/folders.ts';
import { readAmong } from '../repository/neighbours.ts';
import { type PushedFile, pushedFilesMax, type PushedVersion } from '../sources/pushed-version.ts';

const depthMax = 16;

/** As it would be pushed, and what its owner should know. The error says why it would not be served. */
export async function readVersion(
  modelsDir: string,
  model: string,
  version: string,
): Promise<
  Result<{ readonly pushed: PushedVersion; readonly warnings: readonly string[] }, string>
> {
  const folder = join(modelsDir, model);
  const entries = await entriesOf(folder, version);
  const served = await digestWhenServed(folder, { model, version, entries });
  if (!served.ok) return served;
  const files: PushedFile[] = [];
  for (const entry of entries) {
    const problem = await collect(folder, entry, files, 0);
    if (problem !== undefined) return err(`${folder}: ${problem}`);
  }
  const form = await formOf(folder);
  const { digest, warnings } = served.value;
  return ok({
    pushed: { model, version, form, digest, files: files.toSorted(byPath) },
    warnings,
  });
}

/** The version and all that is beside the versions. */
async function entriesOf(folder: string, version: string): Promise<readonly string[]> {
  const { files, folders } = await visible(folder);
  const versions = await versionFolders(folder);
  return [...files, ...folders].filter((entry) =>
    versions.includes(entry) ? entry === version : entry !== routingFile,
  );
}

/** Reads it as a repository that holds nothing else. */
async function digestWhenServed(
  folder: string,
  {
    entries,
    model,
    version,
  }: { readonly model: string; readonly version: string; readonly entries: readonly string[] },
): Promise<Result<{ readonly digest: string; readonly warnings: readonly string[] }, string>> {
  const view = await mkdtemp(join(tmpdir(), 'inferry-push-'));
  try {
    await mkdir(join(view, model));
    const real = await realpath(folder);
    for (const entry of entries) await symlink(join(real, entry), join(view, model, entry));
    const { models, problems, warnings } = await readAmong(view, model, dirname(folder));
    const told = (text: string): string => text.replaceAll(`${view}/`, '');
    if (problems.length > 0) return err(problems.map(problemText).map(told).join('\n'));
    const manifest = models.find((one) => one.version === version);
    if (manifest === undefined) return err(`${model} does not serve version ${version}`);
    return ok({ digest: manifest.digest, warnings: warnings.map(problemText).map(told) });
  } finally {
    await rm(view, { recursive: true });
  }
}

/** Links are what they lead to; hidden entries stay behind. */
async function collect(
  folder: string,
  path: string,
  files: PushedFile[],
  depth: number,
): Promise<string | undefined> {
  if (depth > depthMax) return `${path} lies deeper than ${depthMax} folders`;
  const found = await stat(join(folder, path));
  if (found.isFile()) {
    if (files.length >= pushedFilesMax) return `more than ${pushedFilesMax} files`;
    files.push({ path, bytes: found.size, sha256: await sha256Of(join(folder, path)) });
    return undefined;
  }
  if (!found.isDirectory()) return `${path} is no regular file`;
  for (const name of (await readdir(join(folder, path))).toSorted()) {
    if (name.startsWith('.')) continue;
    const problem = await collect(folder, join(path, name), files, depth + 1);
    if (problem !== undefined) return problem;
  }
  return undefined;
}

function byPath(a: PushedFile, b: PushedFile): number {
  return a.path < b.path ? -1 : 1;
}
