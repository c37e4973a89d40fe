/** Moves a staged model into the repository. Whoever reads it meanwhile finds the old or the new, never a part. */
import { cp, lstat, open, readdir, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { type Clock, ok, type Result, sleep } from '@inferry/runtime';
import { lockVersions, versionsLock } from '../repository/folders.ts';
import type { Staged } from './stage.ts';

/** The wait for another process that changes the same model. */
const lockLooksMax = 120;
const lockLookMs = 250;

/**
 * Rejects with what the operating system said, and then all is as before; the error says who else changes the
 * model. `aside` is an empty folder on the same file system; what was replaced lies there.
 */
export async function land(
  staged: Staged,
  modelsDir: string,
  { aside, clock }: { readonly aside: string; readonly clock: Clock },
): Promise<Result<void, string>> {
  await flush(staged.folder);
  const there = join(modelsDir, staged.name);
  if (!staged.hasModel) {
    await rename(staged.folder, there);
    return ok(undefined);
  }
  // What others change meanwhile would go with the folder that is replaced.
  for (let looks = 0; ; looks += 1) {
    const lock = await lockVersions(there, staged.name);
    if (lock.ok) {
      try {
        await replace(staged, there, aside);
        return ok(undefined);
      } finally {
        await lock.value();
      }
    }
    if (looks >= lockLooksMax) return lock;
    await sleep(clock, lockLookMs);
  }
}

async function replace(staged: Staged, there: string, aside: string): Promise<void> {
  if (staged.changed.length === 0) {
    await swap(
      staged.versions.map((version) => ({
        from: join(staged.folder, version),
        to: join(there, version),
        aside: staged.taken.includes(version) ? join(aside, version) : null,
      })),
    );
    return;
  }
  // What all versions have in common changes: the whole folder is swapped, with the other versions in it.
  for (const entry of await readdir(there)) {
    if (entry === versionsLock) continue;
    const own = join(staged.folder, entry);
    if ((await lstat(own).catch(() => undefined)) !== undefined) continue;
    await cp(join(there, entry), own, { recursive: true });
  }
  await flush(staged.folder);
  await swap([{ from: staged.folder, to: there, aside: join(aside, staged.name) }]);
}

interface Move {
  readonly from: string;
  readonly to: string;
  /** Where what is at `to` goes before; null where nothing is. */
  readonly aside: string | null;
}

/** All of the moves, or none. */
async function swap(moves: readonly Move[]): Promise<void> {
  const undo: (readonly [from: string, to: string])[] = [];
  const move = async (from: string, to: string): Promise<void> => {
    await rename(from, to);
    undo.unshift([to, from]);
  };
  try {
    for (const { aside, from, to } of moves) {
      if (aside !== null) await move(to, aside);
      await move(from, to);
    }
  } catch (cause) {
    for (const [from, to] of undo) await rename(from, to);
    throw cause;
  }
}

/** Renames survive a power failure sooner than bytes do. */
export async function flush(path: string): Promise<void> {
  const found = await lstat(path);
  if (found.isDirectory()) for (const name of await readdir(path)) await flush(join(path, name));
  if (!found.isFile()) return;
  const file = await open(path, 'r');
  try {
    await file.sync();
  } finally {
    await file.close();
  }
}
