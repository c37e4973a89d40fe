/** Preparation on the main thread: for models that need little of it, and for tests of what stands around it. */
import { prepareChunk, type ChunkDeps } from './prepare-chunk.ts';
import type { Preparation } from './preparation.ts';

export function createInlinePreparation(deps: ChunkDeps): Preparation {
  return {
    async prepare(cls, items) {
      const sentAtMs = deps.clock.nowMs();
      const chunk = await prepareChunk(cls, items, deps);
      const preparedAtMs = deps.clock.nowMs();
      const fetchedAtMs = Math.min(sentAtMs + chunk.fetchMs, preparedAtMs);
      return chunk.items.map((prepared) => ({ prepared, fetchedAtMs, preparedAtMs }));
    },
    async close() {
      await deps.reader?.close();
    },
  };
}
