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
    const { clock, logger } = deps;
    const location = parseS3Location(from);
    if (!location.ok) return err([`INFERRY_MODELS ${location.error}`]);
    const store = openS3(location.value.bucket, { env, idleMs });
    if (!store.ok) return err([store.error]);
    const cache = modelsCache ?? join(homedir(), '.cache', 'inferry', 'models');
    const directory = mirrorFolder(cache, store.value.where, location.value);
    const mirror = new Mirror({
      store: store.value,
      location: location.value,
      directory,
      clock,
      logger,
    });
    const syncModels = async (): Promise<void> => {
      const synced = await mirror.sync();
      if (!synced.ok)
        logger.error(
          { from, problem: synced.error },
          'the models in S3 cannot be fetched; they stay as they are',
        );
      else if (synced.value.length > 0)
        logger.info({ from, directory, models: synced.value }, 'models were fetched from S3');
    };
    const first = await mirror.sync();
    if (!first.ok) {
      if (!(await mirror.hasSynced())) return err([first.error]);
      logger.error(
        { from, directory, problem: first.error },
        'the models in S3 cannot be fetched; starting with those of last time',
      );
    }
    const started = await start({ ...config, modelsDir: directory }, { ...deps, syncModels });
    if (!started.ok) return started;
    const stop = modelsSyncMs === 0 ? () => undefined : every(clock, modelsSyncMs, syncModels);
    return {
      ...started,
      value: {
        ...started.value,
        async drain() {
          stop();
          await started.value.drain();
          store.value.close();
        },
      },
    };
  };
}
