/**
 * Puts a version into a bucket so that it is there whole or not at all: first its files, each under its SHA-256, and
 * last the object that names them, which only replaces another when that is wanted. A push that broke off goes on.
 */
import { join } from 'node:path';
import { err, ok, type Result } from '@inferry/runtime';
import { objectsMax, readPushed } from './find-in-s3.ts';
import {
  fileAt,
  hasSameFiles,
  manifestAt,
  manifestText,
  type PushedVersion,
  versionAt,
} from './pushed-version.ts';
import { type S3Location, s3Text } from './s3-location.ts';
import type { S3Store } from './s3-store.ts';
import { uploadFile } from './s3-upload.ts';

export interface Push {
  readonly pushed: PushedVersion;
  /** The folder of the model here. */
  readonly folder: string;
  /** The folder of the model there. */
  readonly model: S3Location;
  readonly isForced: boolean;
  readonly progress: (text: string) => void;
}

/** `same`: it was there already, with the same files. */
export type PushOutcome = 'pushed' | 'same';

/** How often a server is asked again that was writing the same object for somebody else. */
const writeTriesMax = 4;

export async function pushToS3(store: S3Store, push: Push): Promise<Result<PushOutcome, string>> {
  const { isForced, model, pushed } = push;
  const shown = `${s3Text(model)}@${pushed.version}`;
  const there = await readPushed(store, model, pushed.version);
  // What cannot be read may be replaced by who wants to.
  if (!there.ok && !isForced) return there;
  const before = there.ok ? there.value : undefined;
  if (before !== undefined && hasSameFiles(before, pushed)) return ok('same');
  if (before !== undefined && !isForced) {
    return err(`${shown} is already there with other content; --force replaces it`);
  }
  const sent = await pushFiles(store, push, shown);
  if (!sent.ok) return sent;
  return writeManifest(store, push, shown);
}

async function pushFiles(
  store: S3Store,
  { folder, model, progress, pushed }: Push,
  shown: string,
): Promise<Result<void, string>> {
  const prefix = `${versionAt(model, pushed.version).key}/`;
  const listed = await store.list(prefix, objectsMax);
  if (!listed.ok) return err(`${shown}: ${listed.error.text}`);
  const there = new Map(listed.value.map(({ bytes, key }) => [key, bytes]));
  try {
    for (const { bytes, path, sha256 } of pushed.files) {
      const { key } = fileAt(model, pushed.version, sha256);
      if (there.get(key) === bytes) continue;
      const upload = await uploadFile(store, {
        key,
        path: join(folder, path),
        bytes,
        sha256,
        sent: (done) => progress(`${shown} ${path}: ${done} of ${bytes} bytes`),
      });
      if (!upload.ok) {
        const kept = upload.error.kind === 'passing' ? '; the same command goes on' : '';
        return err(`${shown} ${path}: ${upload.error.text}${kept}`);
      }
      there.set(key, bytes);
    }
    return ok(undefined);
  } finally {
    progress('');
  }
}

async function writeManifest(
  store: S3Store,
  { isForced, model, pushed }: Push,
  shown: string,
): Promise<Result<PushOutcome, string>> {
  const { key } = manifestAt(model, pushed.version);
  const text = Buffer.from(manifestText(pushed));
  for (let tries = 1; ; tries += 1) {
    const put = await store.put(key, text, isForced ? 'anything' : 'nothing');
    if (!put.ok) {
      if (put.error.kind === 'unsupported') {
        return err(
          `${shown}: ${put.error.text}: it cannot write only where nothing is; --force writes whatever is there`,
        );
      }
      const isTaken = put.error.kind === 'changed';
      if (!isTaken && (put.error.kind !== 'passing' || tries >= writeTriesMax)) {
        return err(`${shown}: ${put.error.text}`);
      }
      if (!isTaken) continue;
    }
    // Also of a server that has no notion of conditions: whoever wrote last has won, and all of them learn it.
    const now = await readPushed(store, model, pushed.version);
    if (!now.ok) return now;
    if (now.value !== undefined && hasSameFiles(now.value, pushed)) {
      return ok(put.ok ? 'pushed' : 'same');
    }
    return err(
      `${shown} was pushed by somebody else meanwhile, with other content; --force replaces it`,
    );
  }
}
