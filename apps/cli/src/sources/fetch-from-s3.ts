/** Fetches a model from S3 into an empty folder, each file resumed and checked on its own. */
import { mkdir } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { err, ok, type Result } from '@inferry/runtime';
import { type DownloadDeps, type FetchedPart, fetchPart, lockDownload } from '../pull/download.ts';
import type { FileForm } from '../pull/options.ts';
import type { Checked, CheckedBy } from '../pull/checked.ts';
import { checkObject } from './check-object.ts';
import { findInS3, type FoundInS3, type Sought } from './find-in-s3.ts';
import { fileAt, type PushedFile, type PushedVersion } from './pushed-version.ts';
import { s3Source } from './s3-byte-source.ts';
import { s3Text } from './s3-location.ts';
import type { S3Store } from './s3-store.ts';

/** Of a single file, until it is opened. */
const fileName = 'file';

export interface WantedFromS3 extends Sought {
  /** Of a single file; null: not given. */
  readonly sha256: string | null;
  /** An empty folder that the files go into. */
  readonly folder: string;
  /** Where unfinished files lie, on the same file system. */
  readonly partial: string;
  readonly bytesMax: number;
  readonly filesMax: number;
}

export interface FromS3 {
  readonly suggestion: string;
  /** Versions that were pushed lie in the folder as a model does; else what is there is to be found out. */
  readonly isModel: boolean;
  /** That the location names; null: it names none. */
  readonly version: string | null;
  /** A single file, which is still to be opened. */
  readonly file: { readonly path: string; readonly form: FileForm; readonly sha256: string } | null;
  /** Paths of files by what they were checked with. */
  readonly checked: Checked;
}

export async function fetchFromS3(
  store: S3Store,
  wanted: WantedFromS3,
  deps: DownloadDeps,
): Promise<Result<FromS3, string>> {
  const found = await findInS3(store, wanted);
  if (!found.ok) return found;
  if (wanted.sha256 !== null && found.value.kind !== 'file') {
    return err(`--sha256 is that of a file, and ${s3Text(wanted.location)} is a folder`);
  }
  const lock = await lockDownload(wanted.partial, idOf(store, wanted));
  if (!lock.ok) return lock;
  try {
    switch (found.value.kind) {
      case 'pushed':
        return await fetchPushed(store, found.value, wanted, deps);
      case 'files':
        return await fetchFiles(store, found.value, wanted, deps);
      case 'file':
        return await fetchFile(store, found.value, wanted, deps);
    }
  } finally {
    await lock.value();
  }
}

/** Files that were begun are found again by the same command. */
function idOf(store: S3Store, { location }: WantedFromS3): string {
  return `${store.where} ${s3Text(location)}`;
}

async function fetchPushed(
  store: S3Store,
  { model, versions }: Extract<FoundInS3, { readonly kind: 'pushed' }>,
  wanted: WantedFromS3,
  deps: DownloadDeps,
): Promise<Result<FromS3, string>> {
  const merged = merge(versions);
  if (!merged.ok) return err(`${s3Text(model)}: ${merged.error}`);
  const files = merged.value;
  const problem = boundsProblem(files, wanted);
  if (problem !== undefined) return err(`${s3Text(model)} ${problem}`);
  const parts: Placed[] = [];
  for (const { bytes, path, sha256, version } of files) {
    const { key } = fileAt(model, version, sha256);
    const shown = `${s3Text(model)}@${version} ${path}`;
    const source = s3Source(store, {
      key,
      etag: '',
      shown,
      scope: `${idOf(store, wanted)} ${path} ${sha256}`,
    });
    const file = { source, sha256, folder: wanted.partial, bytesMax: bytes };
    const part = await fetchPart(file, deps);
    if (!part.ok) return part;
    parts.push({ part: part.value, path });
  }
  await takeAll(parts, wanted.folder);
  // That of an ensemble is empty.
  for (const { version } of versions)
    await mkdir(join(wanted.folder, version), { recursive: true });
  const suggestion = versions[0]?.model ?? basename(model.key);
  const checked = new Map([['sha256', files.map(({ path }) => path)] as const]);
  return ok({ suggestion, isModel: true, version: null, file: null, checked });
}

/** The files of all versions; what their model has beside them must be the same in all. */
function merge(
  versions: readonly PushedVersion[],
): Result<readonly (PushedFile & { readonly version: string })[], string> {
  const files = new Map<string, PushedFile & { readonly version: string }>();
  for (const { files: all, version } of versions) {
    for (const file of all) {
      const other = files.get(file.path);
      if (other === undefined) files.set(file.path, { ...file, version });
      else if (other.sha256 !== file.sha256) {
        return err(
          `${file.path} of version ${version} is not that of version ${other.version}: pull one of them, with --version`,
        );
      }
    }
  }
  return ok([...files.values()]);
}

async function fetchFiles(
  store: S3Store,
  { files, folders, suggestion, version }: Extract<FoundInS3, { readonly kind: 'files' }>,
  wanted: WantedFromS3,
  deps: DownloadDeps,
): Promise<Result<FromS3, string>> {
  const problem = boundsProblem(files, wanted);
  if (problem !== undefined) return err(`${s3Text(wanted.location)} ${problem}`);
  const checked = new Map<CheckedBy, readonly string[]>();
  const parts: Placed[] = [];
  for (const { key, path } of files) {
    const fetched = await fetchChecked(store, key, wanted, deps);
    if (!fetched.ok) return fetched;
    const { by, part } = fetched.value;
    checked.set(by, [...(checked.get(by) ?? []), path]);
    parts.push({ part, path });
  }
  await takeAll(parts, wanted.folder);
  for (const empty of folders) await mkdir(join(wanted.folder, empty), { recursive: true });
  return ok({ suggestion, isModel: false, version, file: null, checked });
}

async function fetchFile(
  store: S3Store,
  { form, suggestion }: Extract<FoundInS3, { readonly kind: 'file' }>,
  wanted: WantedFromS3,
  deps: DownloadDeps,
): Promise<Result<FromS3, string>> {
  const { key } = wanted.location;
  const fetched = await fetchChecked(store, key, wanted, deps);
  if (!fetched.ok) return fetched;
  const { by, part } = fetched.value;
  await takeAll([{ part, path: fileName }], wanted.folder);
  const checked = new Map([[wanted.sha256 === null ? by : 'sha256', [basename(key)]] as const]);
  const file = { path: join(wanted.folder, fileName), form, sha256: part.sha256 };
  return ok({ suggestion, isModel: false, version: null, file, checked });
}

interface Placed {
  readonly part: FetchedPart;
  /** Where it goes in the folder. */
  readonly path: string;
}

/** Only when all are there: until then they stay where the next call finds them. */
async function takeAll(parts: readonly Placed[], folder: string): Promise<void> {
  for (const { part, path } of parts) await part.take(join(folder, path));
}

/** One object that was not pushed by us, checked by what S3 tells of it. */
async function fetchChecked(
  store: S3Store,
  key: string,
  wanted: WantedFromS3,
  deps: DownloadDeps,
): Promise<Result<{ readonly by: CheckedBy; readonly part: FetchedPart }, string>> {
  const { bytesMax, partial, sha256 } = wanted;
  const shown = s3Text({ bucket: store.bucket, key });
  const head = await store.head(key);
  if (!head.ok) return err(`${shown}: ${head.error.text}`);
  const { etag } = head.value;
  const source = s3Source(store, {
    key,
    etag,
    shown,
    scope: `${idOf(store, wanted)} ${key} ${etag}`,
  });
  const part = await fetchPart({ source, sha256, folder: partial, bytesMax }, deps);
  if (!part.ok) return part;
  const by = await checkObject(store, { key, head: head.value }, part.value.file);
  if (by.ok) return ok({ by: by.value, part: part.value });
  await part.value.discard();
  return err(`${shown}: ${by.error}`);
}

function boundsProblem(
  files: readonly { readonly bytes: number; readonly path: string }[],
  { bytesMax, filesMax }: WantedFromS3,
): string | undefined {
  if (files.length > filesMax) return `holds more than ${filesMax} files`;
  const bytes = files.reduce((sum, file) => sum + file.bytes, 0);
  return bytes > bytesMax ? `holds more than ${bytesMax} bytes (--max-gib)` : undefined;
}
