/**
 * A repository in S3 as a directory: every model is brought here, checked, and swapped in whole when it has changed.
 * Whoever reads the directory meanwhile finds the old model or the new one. Several processes may share it.
 */
import { createHash } from 'node:crypto';
import {
  copyFile,
  link,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rename,
  rm,
  writeFile,
} from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { compareVersions } from '@inferry/models';
import { type Clock, err, ok, type Result, sleep } from '@inferry/runtime';
import type { Logger } from '@inferry/telemetry';
import { fetchPart } from '../pull/download.ts';
import { flush } from '../pull/land.ts';
import { lockFile } from '../pull/lock-file.ts';
import { replaceFile } from '../replace-file.ts';
import { isThere, routingFile, visible } from '../repository/folders.ts';
import type { BucketTree } from './bucket-tree.ts';
import { checkObject } from './check-object.ts';
import { readPushed, treeAt } from './find-in-s3.ts';
import { fileAt, type PushedVersion } from './pushed-version.ts';
import { s3Source } from './s3-byte-source.ts';
import { below, type S3Location, s3Text } from './s3-location.ts';
import type { S3Store } from './s3-store.ts';

export interface MirrorOptions {
  readonly store: S3Store;
  /** A folder of models. */
  readonly location: S3Location;
  readonly directory: string;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Ends the wait for another process. */
  readonly stop?: AbortSignal;
}

/** A file that a model is to have. */
interface WantedFile {
  readonly key: string;
  readonly bytes: number;
  /** What stands for its content: its SHA-256, or the ETag of its object. */
  readonly is: string;
  readonly sha256: string | null;
}

type WantedModel = ReadonlyMap<string, WantedFile>;

/** What each file of a model is here, as {@link WantedFile.is}. */
type Synced = Readonly<Record<string, string>>;

const lockLookMs = 500;
/** The wait for another process that fetches the same. */
const lockLooksMax = 7_200;
/** In the folder of a model, so that it is swapped with what it tells of. */
const stateName = '.synced.json';

export class Mirror {
  readonly #options: MirrorOptions;
  readonly #own: string;
  /** Manifests of the last look, by the ETag of their object. */
  #read: ReadonlyMap<string, PushedVersion> = new Map();

  constructor(options: MirrorOptions) {
    this.#options = options;
    this.#own = join(options.directory, '.inferry');
  }

  /** Whether a whole state of the bucket was brought here before. */
  async hasSynced(): Promise<boolean> {
    return isThere(this.#wholeFile);
  }

  /**
   * Names of models that are others now, or gone. One process does it, the others wait for it. The error says why
   * not; a model that cannot be fetched stays as it is, and keeps none of the others back.
   */
  async sync(): Promise<Result<readonly string[], string>> {
    try {
      return await this.#syncAlone();
    } catch (cause) {
      if (!(cause instanceof Error && 'code' in cause && 'syscall' in cause)) throw cause;
      return err(`${cause.message}; INFERRY_MODELS_CACHE says where models are kept`);
    }
  }

  async #syncAlone(): Promise<Result<readonly string[], string>> {
    const { clock, directory, logger, stop } = this.#options;
    await mkdir(this.#own, { recursive: true });
    for (let looks = 0; ; looks += 1) {
      const lock = await lockFile(join(this.#own, 'sync.lock'), 'is fetching the same models');
      if (lock.ok) {
        try {
          return await this.#sync();
        } finally {
          await lock.value();
        }
      }
      if (looks >= lockLooksMax || stop?.aborted === true) return err(lock.error);
      if (looks === 0)
        logger.info({ directory }, 'waiting for another process that fetches the same');
      await sleep(clock, lockLookMs, stop);
    }
  }

  async #sync(): Promise<Result<readonly string[], string>> {
    const { directory, location, logger, store } = this.#options;
    await this.#clearUp();
    const tree = await treeAt(store, location);
    if (!tree.ok) return tree;
    const folders = (await tree.value.look('')).folders;
    const names = new Set([...folders, ...tree.value.pushed.keys()]);
    const none = err(`${s3Text(location)} is no folder of models, as in s3://bucket/models`);
    if (tree.value.pushed.has('') || names.size === 0) return none;
    const there: string[] = [];
    const changed: string[] = [];
    const problems: string[] = [];
    const read = new Map<string, PushedVersion>();
    for (const name of [...names].filter((one) => !one.includes('/')).toSorted()) {
      const brought = await this.#follow(tree.value, name, read);
      if (!brought.ok) {
        problems.push(brought.error);
        // Whether it is this model alone: while S3 is away, every other one would be waited for as long.
        const again = await treeAt(store, location);
        if (!again.ok) return err(problems.join('; '));
      }
      if (!brought.ok || brought.value !== 'nothing') there.push(name);
      if (!brought.ok || brought.value !== 'changed') continue;
      changed.push(name);
      logger.info({ model: name, from: s3Text(below(location, name)) }, 'fetched a model');
    }
    this.#read = read;
    if (there.length === 0) return none;
    for (const name of (await visible(directory)).folders) {
      if (there.includes(name)) continue;
      await this.#swap(name, null);
      changed.push(name);
    }
    if (problems.length > 0) return err(problems.join('; '));
    if (!(await this.hasSynced())) await replaceFile(this.#wholeFile, '');
    // What was begun of objects that are others now.
    await rm(join(this.#own, 'partial'), { recursive: true, force: true });
    return ok(changed);
  }

  /** What a process left that was killed: this one is alone here. */
  async #clearUp(): Promise<void> {
    for (const name of await readdir(this.#own)) {
      const left = join(this.#own, name);
      if (name.startsWith('aside-')) {
        // Killed between the two renames of a swap.
        for (const model of await readdir(left)) {
          const place = join(this.#options.directory, model);
          if (!(await isThere(place))) await rename(join(left, model), place);
        }
      }
      if (/^(?:aside|stage)-/u.test(name)) await rm(left, { recursive: true });
    }
  }

  /** One model; `nothing`: there is none by this name in the bucket. */
  async #follow(
    tree: BucketTree,
    name: string,
    read: Map<string, PushedVersion>,
  ): Promise<Result<'changed' | 'nothing' | 'same', string>> {
    const wanted = await this.#wanted(tree, name, read);
    if (!wanted.ok) return wanted;
    if (wanted.value.size === 0) return ok('nothing');
    const versions = await this.#versions(tree, name);
    const is = Object.fromEntries([
      ...[...wanted.value].map(([path, file]) => [path, file.is] as const),
      ...versions.map((version) => [`${version}/`, 'folder'] as const),
    ]);
    const here = await readState(join(this.#options.directory, name));
    if (isSame(here, is)) return ok('same');
    const brought = await this.#bring(name, { versions, wanted: wanted.value, is }, here);
    return brought.ok ? ok('changed') : brought;
  }

  async #wanted(
    tree: BucketTree,
    name: string,
    readNow: Map<string, PushedVersion>,
  ): Promise<Result<WantedModel, string>> {
    const { location, logger, store } = this.#options;
    const model = below(location, name);
    const wanted = new Map<string, WantedFile>();
    const versions = tree.pushed.get(name) ?? [];
    for (const { bytes, etag, key, path } of tree.files) {
      const inside = path.slice(name.length + 1);
      // Where something was pushed, that alone counts, beside which versions have a label.
      const counts = versions.length === 0 || inside === routingFile;
      if (!path.startsWith(`${name}/`) || !counts) continue;
      wanted.set(inside, { key, bytes, is: etag, sha256: null });
    }
    // The last wins where versions have other settings beside them.
    for (const version of versions.toSorted(compareVersions)) {
      const etag = tree.etags.get(`${name}/${version}`) ?? '';
      const id = `${name} ${version} ${etag}`;
      const known = etag === '' ? undefined : this.#read.get(id);
      const read = known === undefined ? await readPushed(store, model, version) : ok(known);
      if (!read.ok) return read;
      if (read.value === undefined) continue;
      readNow.set(id, read.value);
      for (const { bytes, path, sha256 } of read.value.files) {
        const other = wanted.get(path);
        if (other !== undefined && other.sha256 !== sha256) {
          logger.warn({ model: name, version, path }, 'is not the same in all pushed versions');
        }
        const { key } = fileAt(model, version, sha256);
        wanted.set(path, { key, bytes, is: sha256, sha256 });
      }
    }
    return ok(wanted);
  }

  /** Versions of a model, of which the folder may be empty. */
  async #versions(tree: BucketTree, name: string): Promise<readonly string[]> {
    const pushed = tree.pushed.get(name);
    if (pushed !== undefined) return pushed;
    return (await tree.look(name)).folders.filter((one) => /^[1-9]\d*$/u.test(one));
  }

  /** Builds the model beside the one that is there, of which it takes what has not changed. */
  async #bring(
    name: string,
    {
      is: state,
      versions,
      wanted,
    }: {
      readonly versions: readonly string[];
      readonly wanted: WantedModel;
      readonly is: Synced;
    },
    here: Synced,
  ): Promise<Result<void, string>> {
    const { clock, directory, store } = this.#options;
    const stage = await mkdtemp(join(this.#own, 'stage-'));
    try {
      for (const version of versions) await mkdir(join(stage, version));
      for (const [path, { bytes, is, key, sha256 }] of wanted) {
        const into = join(stage, path);
        await mkdir(dirname(into), { recursive: true });
        if (here[path] === is && (await linked(join(directory, name, path), into))) continue;
        const shown = s3Text({ bucket: store.bucket, key });
        const etag = sha256 === null ? is : '';
        const source = s3Source(store, { key, etag, shown, scope: `${shown} ${is}` });
        const folder = join(this.#own, 'partial');
        const quiet = { clock, complain: () => undefined, progress: () => undefined };
        const part = await fetchPart({ source, sha256, folder, bytesMax: bytes }, quiet);
        if (!part.ok) return part;
        if (sha256 === null) {
          const head = await store.head(key);
          if (!head.ok) return err(`${shown}: ${head.error.text}`);
          const checked = await checkObject(store, { key, head: head.value }, part.value.file);
          if (!checked.ok) {
            await part.value.discard();
            return err(`${shown}: ${checked.error}`);
          }
        }
        await part.value.take(into);
      }
      await writeFile(join(stage, stateName), `${JSON.stringify(state)}\n`);
      await flush(stage);
      await this.#swap(name, stage);
      return ok(undefined);
    } finally {
      await rm(stage, { recursive: true, force: true });
    }
  }

  /** Puts a folder in the place of a model; null takes it away. */
  async #swap(name: string, folder: string | null): Promise<void> {
    const there = join(this.#options.directory, name);
    const aside = await mkdtemp(join(this.#own, 'aside-'));
    try {
      if (await isThere(there)) await rename(there, join(aside, name));
      if (folder !== null) await rename(folder, there);
    } finally {
      await rm(aside, { recursive: true, force: true });
    }
  }

  get #wholeFile(): string {
    return join(this.#own, 'whole');
  }
}

/** Nothing where the model is not here, or nothing that can be read: then all of it is fetched again. */
async function readState(folder: string): Promise<Synced> {
  try {
    return Object(JSON.parse(await readFile(join(folder, stateName), 'utf8'))) as Synced;
  } catch {
    return {};
  }
}

/** The folder of a repository below that of all that are kept. */
export function mirrorFolder(cache: string, where: string, { bucket, key }: S3Location): string {
  const place = createHash('sha256').update(`${where} ${key}`).digest('hex').slice(0, 12);
  return join(cache, `${bucket}-${place}`);
}

function isSame(a: Synced, b: Synced): boolean {
  const paths = Object.keys(a);
  return paths.length === Object.keys(b).length && paths.every((path) => a[path] === b[path]);
}

/** One file in two places, or its copy where the file system has no links; false where it is not there. */
async function linked(from: string, into: string): Promise<boolean> {
  if (!(await isThere(from))) return false;
  await link(from, into).catch(() => copyFile(from, into));
  return true;
}
