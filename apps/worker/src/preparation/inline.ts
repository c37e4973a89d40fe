/** Preparation on the main thread: for models that need little of it, and for tests of what stands around it. */
import { type ChunkDeps, closeChunkDeps, detached, prepareChunk } from './prepare-chunk.ts';
import type { Preparation } from './preparation.ts';

export function createInlinePreparation(deps: ChunkDeps): Preparation {
  return {
    async prepare(cls, items) {
      const sentAtMs = deps.clock.nowMs();
      const chunk = detached(await prepareChunk(cls, items, deps));
      const preparedAtMs = deps.clock.nowMs();
      const fetchedAtMs = Math.min(sentAtMs + chunk.fetchMs, preparedAtMs);
      return chunk.items.map((prepared) => ({ prepared, fetchedAtMs, preparedAtMs }));
    },
    close: () => closeChunkDeps(deps),
  };
}
