/** The digest that tells whether two hosts serve the same model. */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { systemClock } from '@inferry/runtime';

/** Digests of files as they were, by their names and states; the longest unused are forgotten. */
const known = new Map<string, string>();
const knownMax = 4_096;
/** File systems tell the time of a change this coarsely at worst: a younger file may change unseen. */
const settledMs = 2_000;

/**
 * sha256 in hex of the files, in order. Each one's length follows its bytes, so that no other
 * division of the same bytes gives the same digest. Files are streamed, never held whole; files that
 * have not changed since this process read them (path, size, time, inode) are not read again.
 */
export async function digestOf(files: readonly string[]): Promise<string> {
  const before = await stateOf(files);
  const kept = known.get(before.key);
  if (kept !== undefined) {
    remember(before.key, kept);
    return kept;
  }
  const digest = await readDigest(files);
  if (before.isSettled && (await stateOf(files)).key === before.key) remember(before.key, digest);
  return digest;
}

interface State {
  readonly key: string;
  /** A change from now on changes the key. */
  readonly isSettled: boolean;
}

async function stateOf(files: readonly string[]): Promise<State> {
  const stats = await Promise.all(files.map((file) => stat(file, { bigint: true })));
  const newestMs = stats.reduce((newest, { ctimeMs }) => (ctimeMs > newest ? ctimeMs : newest), 0n);
  const states = stats.map(({ ctimeNs, dev, ino, mtimeNs, size }, i) => [
    files[i],
    ...[size, mtimeNs, ctimeNs, dev, ino].map(String),
  ]);
  return {
    key: JSON.stringify(states),
    isSettled: systemClock.nowMs() - Number(newestMs) > settledMs,
  };
}

function remember(key: string, digest: string): void {
  known.delete(key);
  known.set(key, digest);
  for (const oldest of [...known.keys()].slice(0, Math.max(0, known.size - knownMax))) {
    known.delete(oldest);
  }
}

async function readDigest(files: readonly string[]): Promise<string> {
  const hash = createHash('sha256');
  for (const file of files) {
    let length = 0;
    for await (const chunk of createReadStream(file, { highWaterMark: 1024 * 1024 })) {
      const bytes = chunk as Uint8Array;
      hash.update(bytes);
      length += bytes.length;
    }
    hash.update(`\n${length}\n`);
  }
  return hash.digest('hex');
}
