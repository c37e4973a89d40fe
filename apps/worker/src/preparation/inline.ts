/** Preparation on the main thread: for models that need little of it, and for tests of what stands around it. */
import type { ClassId } from '@inferry/contracts';
import { type KeyedPreparation, openClass } from './open-classes.ts';
import {
  type ChunkDeps,
  closeChunkDeps,
  detached,
  forgetManifest,
  prepareChunk,
} from './prepare-chunk.ts';
import type { PreparationItem, PreparedAt, SharedPreparation } from './preparation.ts';

export function createInlinePreparation(deps: ChunkDeps): SharedPreparation {
  const { clock, manifests } = deps;
  const prepare = async (
    cls: ClassId,
    items: readonly PreparationItem[],
    key: string = cls,
  ): Promise<readonly PreparedAt[]> => {
    const sentAtMs = clock.nowMs();
    const chunk = detached(await prepareChunk(cls, items, deps, key));
    const preparedAtMs = clock.nowMs();
    const fetchedAtMs = Math.min(sentAtMs + chunk.fetchMs, preparedAtMs);
    return chunk.items.map((prepared) => ({ prepared, fetchedAtMs, preparedAtMs }));
  };
  const keyed: KeyedPreparation = {
    prepare,
    learn: (key, manifest) => void manifests.set(key, manifest),
    forget: (key) => forgetManifest(deps, key),
  };
  return {
    prepare,
    open: (cls, manifest) => openClass(keyed, cls, manifest),
    close: () => closeChunkDeps(deps),
  };
}
