/** One process at a time works on a file. A lock of a process that is gone is taken over. */
import { open, readFile, rm, stat } from 'node:fs/promises';
import { hostname } from 'node:os';
import { err, ok, type Result } from '@inferry/runtime';

/**
 * `doing` is what a process that has the lock is busy with, for a person. The value gives the lock back; the
 * error names who has it.
 */
export async function lockFile(
  file: string,
  doing: string,
): Promise<Result<() => Promise<void>, string>> {
  // Twice: a lock that was left behind is taken away once.
  for (let tries = 0; tries < 2; tries += 1) {
    if (await created(file)) return ok(() => rm(file, { force: true }));
    const owner = await readFile(file, 'utf8').catch(() => '');
    if (!(await isGone(owner, file))) break;
    await rm(file, { force: true });
  }
  return err(`another process ${doing}; when there is none, remove ${file}`);
}

async function created(file: string): Promise<boolean> {
  try {
    const handle = await open(file, 'wx');
    await handle.writeFile(`${process.pid} ${hostname()}`);
    await handle.close();
    return true;
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw cause;
  }
}

/** Of processes on other machines nothing is known. */
async function isGone(owner: string, file: string): Promise<boolean> {
  const [pid = '', host = ''] = owner.split(' ');
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
