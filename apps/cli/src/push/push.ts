/** `inferry models push MODEL TARGET`: a model, or one version of it, into another repository, whole or not at all. */
import { join } from 'node:path';
import { err, ok, type Result } from '@inferry/runtime';
import { type PullDeps, pullModel } from '../pull/pull.ts';
import { isThere, versionFolders } from '../repository/folders.ts';
import { hasSameFiles, type PushedVersion } from '../sources/pushed-version.ts';
import { below, s3Text } from '../sources/s3-location.ts';
import type { PushOptions } from './options.ts';
import { readVersion } from './version-files.ts';

export interface PushDeps extends PullDeps {
  /** Ends it; what was begun in S3 is taken back. */
  readonly stop?: AbortSignal;
}

interface Done {
  readonly pushed: PushedVersion;
  readonly location: string;
  /** It was there already. */
  readonly isSame: boolean;
}

const idleMsDefault = 30_000;

/** The exit code: 0 when all of it is there, 1 when something is not. */
export async function pushModel(options: PushOptions, deps: PushDeps): Promise<0 | 1> {
  const failed = (message: string): 1 => {
    deps.complain(`inferry: ${message.replaceAll('\n', '\ninferry: ')}\n`);
    return 1;
  };
  try {
    const versions = await versionsToPush(options);
    if (!versions.ok) return failed(versions.error);
    const all: PushedVersion[] = [];
    for (const version of versions.value) {
      const read = await readVersion(options.modelsDir, options.model, version);
      if (!read.ok) return failed(read.error);
      for (const warning of read.value.warnings) deps.complain(`inferry: warning: ${warning}\n`);
      all.push(read.value.pushed);
    }
    const done: Done[] = [];
    const problem =
      options.target.kind === 's3'
        ? await intoS3(options, all, done, deps)
        : await intoFolder(options, all, done, deps);
    deps.print(options.asJson ? document(options, done) : done.map(line).join(''));
    return problem === undefined ? 0 : failed(problem);
  } catch (cause) {
    if (!(cause instanceof Error && 'code' in cause && 'syscall' in cause)) throw cause;
    return failed(cause.message);
  }
}

async function versionsToPush({
  model,
  modelsDir,
  version,
}: PushOptions): Promise<Result<readonly string[], string>> {
  const folder = join(modelsDir, model);
  if (!(await isThere(folder))) return err(`${folder} does not exist`);
  const versions = await versionFolders(folder);
  if (versions.length === 0) return err(`${folder} holds no version`);
  if (version === null) return ok(versions);
  if (versions.includes(version)) return ok([version]);
  return err(`${folder} has no version ${version}; it has: ${versions.join(', ')}`);
}

/** What is done before something fails stays done: each version is one of its own. */
async function intoS3(
  { isForced, model, modelsDir, target }: PushOptions,
  all: readonly PushedVersion[],
  done: Done[],
  deps: PushDeps,
): Promise<string | undefined> {
  if (target.kind !== 's3') return undefined;
  const { openS3 } = await import('../sources/open-s3.ts');
  const { pushToS3 } = await import('../sources/push-to-s3.ts');
  const { idleMs = idleMsDefault } = deps;
  const store = openS3(target.location.bucket, { ...deps, idleMs });
  if (!store.ok) return store.error;
  const there = below(target.location, model);
  const folder = join(modelsDir, model);
  const { progress } = deps;
  try {
    for (const pushed of all) {
      const push = { pushed, folder, model: there, isForced, progress };
      const outcome = await pushToS3(store.value, push);
      if (!outcome.ok) return outcome.error;
      const location = `${s3Text(there)}@${pushed.version}`;
      done.push({ pushed, location, isSame: outcome.value === 'same' });
    }
    return undefined;
  } finally {
    store.value.close();
  }
}

/** As somebody there would pull it. */
async function intoFolder(
  { isForced, model, modelsDir, target }: PushOptions,
  all: readonly PushedVersion[],
  done: Done[],
  deps: PushDeps,
): Promise<string | undefined> {
  if (target.kind !== 'path') return undefined;
  for (const pushed of all) {
    const { version } = pushed;
    const location = join(target.path, model, version);
    if (await isThere(location)) {
      const there = await readVersion(target.path, model, version);
      if (there.ok && hasSameFiles(there.value.pushed, pushed)) {
        done.push({ pushed, location, isSame: true });
        continue;
      }
    }
    let told = '';
    const pull = {
      source: { kind: 'path', path: join(modelsDir, model) },
      modelsDir: target.path,
      name: model,
      version,
      sha256: null,
      isReplacing: isForced,
      bytesMax: Number.MAX_SAFE_INTEGER,
      asJson: false,
    } as const;
    const quiet = { ...deps, print: () => undefined };
    const code = await pullModel(pull, { ...quiet, complain: (text) => void (told += text) });
    if (code !== 0)
      return told.trim().replaceAll('inferry: ', '').replaceAll('--replace', '--force');
    done.push({ pushed, location, isSame: false });
  }
  return undefined;
}

function line({ isSame, location, pushed }: Done): string {
  const { files } = pushed;
  const extent = `${files.length} ${files.length === 1 ? 'file' : 'files'}, ${bytesOf(pushed)} bytes`;
  return `${location} (${extent})${isSame ? ' was there already' : ''}\n`;
}

function document({ model }: PushOptions, done: readonly Done[]): string {
  const versions = done.map(({ isSame, location, pushed }) => ({
    version: pushed.version,
    location,
    digest: pushed.digest,
    files: pushed.files.length,
    bytes: bytesOf(pushed),
    was_there: isSame,
  }));
  return `${JSON.stringify({ name: model, versions }, null, 2)}\n`;
}

function bytesOf({ files }: PushedVersion): number {
  return files.reduce((sum, { bytes }) => sum + bytes, 0);
}
