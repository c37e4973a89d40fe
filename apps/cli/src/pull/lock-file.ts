/** One process at a time works on a file. A lock of a process that is gone, or has been silent for long, is taken over. */
import { link, open, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { err, every, ok, type Result, systemClock } from '@inferry/runtime';

/** How often who has the lock shows that it lives. */
const beatMsDefault = 5_000;
/** Of processes on other machines, or in containers that were, nothing else is known. */
const silentMsMax = 60_000;

/**
 * `doing` is what a process that has the lock is busy with, for a person. The value gives the lock back; the
 * error names who has it.
 */
export async function lockFile(
  file: string,
  doing: string,
  beatMs = beatMsDefault,
): Promise<Result<() => Promise<void>, string>> {
  // Twice: a lock that was left behind is taken away once.
  for (let tries = 0; tries < 2; tries += 1) {
    const release = await created(file, beatMs);
    if (release !== undefined) return ok(release);
    const owner = await readFile(file, 'utf8').catch(() => '');
    if (!(await isGone(owner, file))) break;
    await takeAway(file, owner);
  }
  return err(`another process ${doing}; when there is none, remove ${file}`);
}

/** Undefined where somebody has it. */
async function created(file: string, beatMs: number): Promise<(() => Promise<void>) | undefined> {
  const handle = await open(file, 'wx').catch((cause: NodeJS.ErrnoException) => {
    if (cause.code === 'EEXIST') return undefined;
    throw cause;
  });
  if (handle === undefined) return undefined;
  // Through the handle, which is that of no other file once somebody has taken this one over.
  const beat = async (): Promise<void> => {
    await handle.write(`${process.pid} ${hostname()}`, 0);
  };
  const { ino } = await handle.stat();
  await beat();
  const stop = every(systemClock, beatMs, () => beat().catch(() => undefined));
  return async () => {
    stop();
    await handle.close();
    const there = await stat(file).catch(() => undefined);
    if (there?.ino === ino) await rm(file, { force: true });
  };
}

async function isGone(owner: string, file: string): Promise<boolean> {
  const [pid = '', host = ''] = owner.split(' ');
  if (await isSilent(file)) return true;
  if (host !== hostname() || !/^\d+$/u.test(pid)) return false;
  if (Number(pid) === process.pid) {
    // A container that is started again gives the same numbers again.
    const madeAtMs = (await stat(file).catch(() => undefined))?.mtimeMs ?? 0;
    return madeAtMs < performance.timeOrigin;
  }
  try {
    process.kill(Number(pid), 0);
    return false;
  } catch (cause) {
    return (cause as NodeJS.ErrnoException).code === 'ESRCH';
  }
}

/** By the clock of the file system, which may be that of another machine. */
async function isSilent(file: string): Promise<boolean> {
  const own = `${file}.${process.pid}-${hostname()}`;
  await writeFile(own, 'now');
  const { mtimeMs: now } = await stat(own);
  await rm(own, { force: true });
  const found = await stat(file).catch(() => undefined);
  return found !== undefined && now - found.mtimeMs > silentMsMax;
}

/** By a rename: of several that take it away one finds it, and what is not that owner's any more goes back. */
async function takeAway(file: string, owner: string): Promise<void> {
  const aside = `${file}.${process.pid}-${hostname()}`;
  try {
    await rename(file, aside);
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return;
    throw cause;
  }
  const found = await readFile(aside, 'utf8');
  if (found !== owner) await link(aside, file).catch(() => undefined);
  await rm(aside, { force: true });
}
