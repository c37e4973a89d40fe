/** A role on a repository in S3: it is brought into a directory before the role starts, and kept up to date. */
import { homedir } from 'node:os';
import { join } from 'node:path';
import { err, every } from '@inferry/runtime';
import { Mirror, mirrorFolder } from '../sources/mirror.ts';
import { openS3 } from '../sources/open-s3.ts';
import { parseS3Location } from '../sources/s3-location.ts';
import type { StartRole } from './role.ts';

const idleMs = 30_000;

/** Without S3 a role starts on what was fetched before, and says so; without that it does not start. */
export function startFromS3(
  start: StartRole,
  env: Readonly<Record<string, string | undefined>>,
): StartRole {
  return async (config, deps) => {
    const { modelsCache, modelsDir: from, modelsSyncMs } = config;
    const { clock, logger, stopping } = deps;
    const location = parseS3Location(from);
    if (!location.ok) return err([`INFERRY_MODELS ${location.error}`]);
    const stopped = new AbortController();
    const { signal: stop } = stopped;
    void stopping?.then(() => stopped.abort());
    const store = openS3(location.value.bucket, { env, idleMs, stop });
    if (!store.ok) return err([store.error]);
    const cache = modelsCache ?? join(homedir(), '.cache', 'inferry', 'models');
    const directory = mirrorFolder(cache, store.value.where, location.value);
    const options = { store: store.value, location: location.value, directory, clock, logger };
    const mirror = new Mirror({ ...options, stop });
    let last: Promise<void> = Promise.resolve();
    let next: Promise<void> | null = null;
    const sync = async (): Promise<void> => {
      const synced = await mirror.sync();
      // What this process was doing when it was asked to stop is no failure.
      if (stop.aborted) return;
      if (!synced.ok)
        logger.error(
          { from, problem: synced.error },
          'models in S3 cannot be fetched; they stay as they are',
        );
      else if (synced.value.length > 0)
        logger.info({ from, directory, models: synced.value }, 'models were fetched from S3');
    };
    /** One after the other; those who ask while one is under way share the next. */
    const syncModels = (): Promise<void> => {
      if (stop.aborted || next !== null) return next ?? last;
      next = last.then(() => {
        next = null;
        return stop.aborted ? undefined : sync();
      });
      last = next;
      return next;
    };
    const first = await mirror.sync();
    if (stop.aborted) return err(['was asked to stop while models were fetched from S3']);
    if (!first.ok) {
      if (!(await mirror.hasSynced())) return err([first.error]);
      logger.error(
        { from, directory, problem: first.error },
        'models in S3 cannot be fetched; starting with those of last time',
      );
    }
    const started = await start({ ...config, modelsDir: directory }, { ...deps, syncModels });
    if (!started.ok) return started;
    const stopSyncing =
      modelsSyncMs === 0 ? () => undefined : every(clock, modelsSyncMs, syncModels);
    return {
      ...started,
      value: {
        ...started.value,
        async drain() {
          stopSyncing();
          stopped.abort();
          store.value.close();
          // Which gives its lock back.
          await last;
          await started.value.drain();
        },
      },
    };
  };
}
