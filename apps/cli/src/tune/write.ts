/** Writes what was found: the settings into model.yaml, the curve to where the next worker looks for it. */
import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { defaultLimits, type ModelManifest, newId } from '@inferry/contracts';
import {
  editModelYaml,
  loadRepository,
  problemText,
  resolveModel,
  type TunedSettings,
} from '@inferry/models';
import { createBullmqQueue } from '@inferry/queue';
import { type Clock, err, ok, type Random, type Result } from '@inferry/runtime';
import type { LatencySnapshot } from '@inferry/scheduling';
import { profileKey } from '@inferry/worker';
import { replaceFile } from '../replace-file.ts';
import { firstConnection } from '../roles/queue.ts';

/** Redis is waited for so long. */
const redisMsMax = 5_000;

/**
 * Sets the settings in the model's model.yaml, or makes one. The repository is read again afterwards, and
 * where it then has a problem with the model, the file is what it was before. The value is the manifest
 * with the settings.
 */
export async function writeSettings(
  modelsDir: string,
  { name, version }: Pick<ModelManifest, 'name' | 'version'>,
  settings: TunedSettings,
): Promise<Result<{ readonly file: string; readonly manifest: ModelManifest }, string>> {
  const file = join(modelsDir, name, 'model.yaml');
  try {
    const before = await textOf(file);
    const edited = editModelYaml(before ?? '', settings);
    if (!edited.ok) return err(`${file}: ${edited.error}`);
    await replaceFile(file, edited.value);
    const { models, problems } = await loadRepository(modelsDir);
    const own = problems.filter((problem) => problem.model === name);
    const manifest = resolveModel(models, name, version);
    if (own.length === 0 && manifest.ok) return ok({ file, manifest: manifest.value });
    if (before === null) await rm(file);
    else await replaceFile(file, before);
    const reasons = own.map(problemText).join('\n');
    return err(`${file} is as it was: with these settings it would not be valid\n${reasons}`);
  } catch (cause) {
    if (!(cause instanceof Error && 'code' in cause)) throw cause;
    return err(cause.message);
  }
}

async function textOf(file: string): Promise<string | null> {
  try {
    return await readFile(file, 'utf8');
  } catch (cause) {
    if (cause instanceof Error && 'code' in cause && cause.code === 'ENOENT') return null;
    throw cause;
  }
}

export interface ProfileTarget {
  readonly redis: { readonly url: string; readonly prefix: string };
  /** As workers name it. */
  readonly hardware: string;
  readonly provider: 'cpu' | 'cuda' | 'tensorrt';
  readonly instances: number;
  readonly isPreparedHere: boolean;
}

/** Stores what was measured under the name under which a worker with these settings looks for it. */
export async function storeProfile(
  manifest: ModelManifest,
  snapshot: LatencySnapshot,
  { hardware, redis, ...target }: ProfileTarget,
  { clock, random }: { readonly clock: Clock; readonly random: Random },
): Promise<Result<void, string>> {
  const { inlinePayloadBytesMax, leaseMs, resultBytesPerClassMax, sweepMs, tombstoneMs } =
    defaultLimits;
  const queue = createBullmqQueue({
    url: redis.url,
    prefix: redis.prefix,
    clock,
    processId: newId('tune', clock.nowMs(), random),
    leaseMs,
    sweepMs,
    inlinePayloadBytesMax,
    resultBytesPerClassMax,
    tombstoneMs,
  });
  const key = profileKey({ manifest, ...target }, hardware);
  await firstConnection(queue, clock, redisMsMax);
  const problem = await queue.saveProfile(key, JSON.stringify(snapshot)).then(
    () => null,
    (cause: unknown) => (cause instanceof Error ? cause.message : String(cause)),
  );
  await queue.close();
  return problem === null ? ok(undefined) : err(`Redis: ${problem}`);
}
