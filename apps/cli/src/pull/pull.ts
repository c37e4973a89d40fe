/** `inferry models pull SOURCE`: fetches a model, checks it, and puts it into a repository in one step. */
import { copyFile, mkdir, mkdtemp, readdir, rename, rm, stat } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';
import { isModelName } from '@inferry/contracts';
import { err, ok, type Result } from '@inferry/runtime';
import { download, type DownloadDeps, sha256Of } from './download.ts';
import { httpSource } from './http-source.ts';
import { land } from './land.ts';
import { findModelRoot } from './model-root.ts';
import { type FileForm, formOf, nameFrom, type PullOptions, shownUrl } from './options.ts';
import { type Staged, stageModel } from './stage.ts';
import { copyFolder, unpackTar } from './unpack.ts';

export interface PullDeps extends DownloadDeps {
  readonly print: (text: string) => void;
  /** Longest time without a byte, ms. Default: 30 s. */
  readonly idleMs?: number;
}

const idleMsDefault = 30_000;
const entriesMax = 10_000;
const depthMax = 16;
/** Folders of pulls that were killed, and files that nobody went on with. */
const leftoverMsMax = 7 * 24 * 3_600_000;

/** Fetched, and not yet a model. */
interface Fetched {
  readonly folder: string;
  /** The model's name as far as the source tells. */
  readonly suggestion: string;
  /** Of the file; null for a folder. */
  readonly sha256: string | null;
}

/** The exit code: 0 when the model is there, 1 when nothing has changed. */
export async function pullModel(options: PullOptions, deps: PullDeps): Promise<0 | 1> {
  const failed = (message: string): 1 => {
    deps.complain(`inferry: ${message.replaceAll('\n', '\ninferry: ')}\n`);
    return 1;
  };
  const own = join(options.modelsDir, '.inferry');
  let stage: string | undefined;
  try {
    // Hidden, so that it is served by nobody, and beside the models, so that a rename is enough.
    await mkdir(own, { recursive: true });
    await removeLeftovers(own, deps);
    stage = await mkdtemp(join(own, 'stage-'));
    const pulled = await pullInto(stage, own, options, deps);
    if (!pulled.ok) return failed(pulled.error);
    const { sha256, staged } = pulled.value;
    for (const warning of staged.warnings) deps.complain(`inferry: warning: ${warning}\n`);
    deps.print(options.asJson ? document(staged, sha256, options) : text(staged, sha256, options));
    return 0;
  } catch (cause) {
    if (!(cause instanceof Error && 'code' in cause && 'syscall' in cause)) throw cause;
    return failed(cause.message);
  } finally {
    // Again where the disk was full and files of the archive were still being written.
    const again = { recursive: true, force: true, maxRetries: 5, retryDelay: 100 };
    if (stage !== undefined) await rm(stage, again);
  }
}

async function pullInto(
  stage: string,
  own: string,
  options: PullOptions,
  deps: PullDeps,
): Promise<Result<{ readonly staged: Staged; readonly sha256: string | null }, string>> {
  const fetched = await fetchSource(stage, own, options, deps);
  if (!fetched.ok) return fetched;
  const shown = shownSource(options);
  const root = await findModelRoot(fetched.value.folder, options.name);
  if (!root.ok) return err(`${shown} ${root.error}`);
  const found = root.value.folder;
  const isTop = found === fetched.value.folder;
  const isNamed = isTop || (root.value.kind === 'version' && /^\d+$/u.test(basename(found)));
  const name = options.name ?? (isNamed ? fetched.value.suggestion : basename(found));
  if (!isModelName(name) || (options.name === null && name === 'model')) {
    return err(`--name must be given: "${name}" does not say what the model is called`);
  }
  const folder = join(stage, 'repository');
  await mkdir(folder);
  const { isReplacing, modelsDir, version } = options;
  const staging = { root: root.value, name, version, modelsDir, folder, isReplacing };
  const staged = await stageModel(staging);
  if (!staged.ok) return staged;
  const aside = join(stage, 'replaced');
  await mkdir(aside);
  await land(staged.value, modelsDir, aside);
  return ok({ staged: staged.value, sha256: fetched.value.sha256 });
}

async function fetchSource(
  stage: string,
  own: string,
  { bytesMax, sha256, source }: PullOptions,
  deps: PullDeps,
): Promise<Result<Fetched, string>> {
  const folder = join(stage, 'fetched');
  await mkdir(folder);
  const bounds = { bytesMax, entriesMax, depthMax };
  const file = join(stage, 'file');
  if (source.kind === 'url') {
    const isChecked = sha256 !== null;
    const bytes = httpSource({ url: source.url, isChecked, idleMs: deps.idleMs ?? idleMsDefault });
    const partial = join(own, 'partial');
    const wanted = { source: bytes, sha256, folder: partial, into: file, bytesMax };
    const loaded = await download(wanted, deps);
    if (!loaded.ok) return loaded;
    const opened = await openFile({ file, form: source.form, folder, bounds });
    if (!opened.ok) return err(`${shownUrl(source.url)} ${opened.error}`);
    const suggestion = nameFrom(source.url.pathname);
    return ok({ folder, suggestion, sha256: loaded.value.sha256 });
  }
  const { path } = source;
  const found = await stat(path).catch(() => undefined);
  if (found === undefined) return err(`${path} does not exist, or may not be read`);
  const suggestion = nameFrom(resolve(path));
  if (found.isDirectory()) {
    if (sha256 !== null) return err(`--sha256 is that of a file, and ${path} is a directory`);
    const copied = await copyFolder(path, folder, bounds);
    return copied.ok ? ok({ folder, suggestion, sha256: null }) : err(`${path}: ${copied.error}`);
  }
  const form = formOf(path);
  if (!found.isFile() || form === undefined) {
    return err(`${path} must be a directory, or a file that ends in .onnx, .tar, .tar.gz or .tgz`);
  }
  if (found.size > bytesMax) return err(`${path} is larger than ${bytesMax} bytes (--max-gib)`);
  await copyFile(path, file);
  const digest = await sha256Of(file);
  if (sha256 !== null && digest !== sha256) {
    return err(`${path}: the SHA-256 is ${digest}, not the ${sha256} that was asked for`);
  }
  const opened = await openFile({ file, form, folder, bounds });
  return opened.ok ? ok({ folder, suggestion, sha256: digest }) : err(`${path} ${opened.error}`);
}

interface FetchedFile {
  readonly file: string;
  readonly form: FileForm;
  readonly folder: string;
  readonly bounds: Parameters<typeof unpackTar>[2];
}

async function openFile({
  bounds,
  file,
  folder,
  form,
}: FetchedFile): Promise<Result<void, string>> {
  if (form === 'tar') {
    const unpacked = await unpackTar(file, folder, bounds);
    await rm(file);
    return unpacked;
  }
  await rename(file, join(folder, 'model.onnx'));
  return ok(undefined);
}

async function removeLeftovers(own: string, { clock }: PullDeps): Promise<void> {
  const partial = join(own, 'partial');
  const stages = (await readdir(own)).filter((name) => name.startsWith('stage-'));
  const files = await readdir(partial).catch(() => []);
  for (const path of [...stages.map((s) => join(own, s)), ...files.map((f) => join(partial, f))]) {
    const changed = (await stat(path).catch(() => undefined))?.mtimeMs ?? Infinity;
    if (clock.nowMs() - changed > leftoverMsMax) await rm(path, { recursive: true, force: true });
  }
}

function shownSource({ source }: PullOptions): string {
  return source.kind === 'url' ? shownUrl(source.url) : source.path;
}

function text(
  { name, versions }: Staged,
  sha256: string | null,
  { modelsDir }: PullOptions,
): string {
  const lines = versions.map((version) => `${join(modelsDir, name, version)}\n`).join('');
  return `${lines}${sha256 === null ? '' : `sha256 ${sha256}\n`}`;
}

function document(staged: Staged, sha256: string | null, options: PullOptions): string {
  const { manifests, name, versions, warnings } = staged;
  const shown = versions.map((version) => {
    const served = manifests.find((manifest) => manifest.version === version);
    return { version, digest: served?.digest ?? null, file_bytes: served?.fileBytes ?? null };
  });
  const source = shownSource(options);
  return `${JSON.stringify({ name, source, sha256, versions: shown, warnings }, null, 2)}\n`;
}
