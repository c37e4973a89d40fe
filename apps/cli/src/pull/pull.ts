/** `inferry models pull SOURCE`: fetches a model, checks it, and puts it into a repository in one step. */
import { copyFile, mkdir, mkdtemp, readdir, rename, rm, stat } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';
import { isModelName } from '@inferry/contracts';
import { err, ok, type Result } from '@inferry/runtime';
import { download, type DownloadDeps, sha256Of } from './download.ts';
import { httpSource } from './http-source.ts';
import { land } from './land.ts';
import { findModelRoot, type ModelRoot } from './model-root.ts';
import { s3Text } from '../sources/s3-location.ts';
import { type FileForm, formOf, nameFrom, type PullOptions, shownUrl } from './options.ts';
import { type Checked, checkedText, uncheckedText } from './checked.ts';
import { type Staged, stageModel } from './stage.ts';
import { visible } from '../repository/folders.ts';
import { copyFolder, unpackTar } from './unpack.ts';

export interface PullDeps extends DownloadDeps {
  readonly print: (text: string) => void;
  /** For what S3 is reached with. */
  readonly env: Readonly<Record<string, string | undefined>>;
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
  /** That the source names; null: it names none. */
  readonly version?: string | null;
  /** What the folder is; unless it is still to be found out. */
  readonly root?: ModelRoot;
  /** Paths of files that came from S3, by what they were checked with. */
  readonly checked?: Checked;
}

interface Pulled {
  readonly staged: Staged;
  readonly sha256: string | null;
  readonly checked: Checked;
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
    const { checked, staged } = pulled.value;
    for (const warning of staged.warnings) deps.complain(`inferry: warning: ${warning}\n`);
    const warning = uncheckedText(checked);
    if (warning !== null) deps.complain(`inferry: warning: ${warning}\n`);
    deps.print(options.asJson ? document(pulled.value, options) : text(pulled.value, options));
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
): Promise<Result<Pulled, string>> {
  const fetched = await fetchSource(stage, own, options, deps);
  if (!fetched.ok) return fetched;
  const shown = shownSource(options);
  const { checked = new Map(), sha256 } = fetched.value;
  const root =
    fetched.value.root === undefined
      ? await findModelRoot(fetched.value.folder, options.name, visible)
      : ok(fetched.value.root);
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
  const { isReplacing, modelsDir } = options;
  const version = options.version ?? fetched.value.version ?? null;
  const staging = { root: root.value, name, version, modelsDir, folder, isReplacing };
  const staged = await stageModel(staging);
  if (!staged.ok) return staged;
  const aside = join(stage, 'replaced');
  await mkdir(aside);
  const landed = await land(staged.value, modelsDir, { aside, clock: deps.clock });
  if (!landed.ok) return landed;
  return ok({ staged: staged.value, sha256, checked });
}

async function fetchSource(
  stage: string,
  own: string,
  options: PullOptions,
  deps: PullDeps,
): Promise<Result<Fetched, string>> {
  const { bytesMax, sha256, source } = options;
  const folder = join(stage, 'fetched');
  await mkdir(folder);
  const bounds = { bytesMax, entriesMax, depthMax };
  const file = join(stage, 'file');
  const partial = join(own, 'partial');
  if (source.kind === 's3') {
    const { location } = source;
    const { name, version } = options;
    const filesMax = entriesMax;
    const wanted = { location, name, version, sha256, folder, partial, bytesMax, filesMax };
    const { pullFromS3 } = await import('../sources/pull-from-s3.ts');
    const fetched = await pullFromS3(wanted, { ...deps, idleMs: deps.idleMs ?? idleMsDefault });
    if (!fetched.ok) return fetched;
    const { checked, file: one, isModel, suggestion, version: named } = fetched.value;
    if (one !== null) {
      const opened = await openFile({ file: one.path, form: one.form, folder, bounds });
      if (!opened.ok) return err(`${s3Text(location)} ${opened.error}`);
    }
    const root = isModel ? ({ root: { kind: 'model', folder } } as const) : {};
    return ok({
      folder,
      suggestion,
      sha256: one?.sha256 ?? null,
      version: named,
      checked,
      ...root,
    });
  }
  if (source.kind === 'url') {
    const isChecked = sha256 !== null;
    const bytes = httpSource({ url: source.url, isChecked, idleMs: deps.idleMs ?? idleMsDefault });
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
  if (source.kind === 's3') return s3Text(source.location);
  return source.kind === 'url' ? shownUrl(source.url) : source.path;
}

function text({ checked, sha256, staged }: Pulled, { modelsDir }: PullOptions): string {
  const { name, versions } = staged;
  const lines = versions.map((version) => `${join(modelsDir, name, version)}\n`).join('');
  return `${lines}${sha256 === null ? '' : `sha256 ${sha256}\n`}${checkedText(checked)}`;
}

function document({ checked, sha256, staged }: Pulled, options: PullOptions): string {
  const { manifests, name, versions, warnings } = staged;
  const shown = versions.map((version) => {
    const served = manifests.find((manifest) => manifest.version === version);
    return { version, digest: served?.digest ?? null, file_bytes: served?.fileBytes ?? null };
  });
  const source = shownSource(options);
  const files = checked.size === 0 ? {} : { checked: Object.fromEntries(checked) };
  const told = { name, source, sha256, versions: shown, ...files, warnings };
  return `${JSON.stringify(told, null, 2)}\n`;
}
