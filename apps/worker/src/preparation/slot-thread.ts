/** What a compute thread prepares with: it fetches its payloads on a connection of its own. */
import type { ClassId } from '@inferry/contracts';
import type { HeldBatch, OpenThreadPreparation } from '@inferry/inference';
import { systemClock } from '@inferry/runtime';
import { closeChunkDeps, openChunkDeps, prepareChunk, type ThreadData } from './prepare-chunk.ts';
import {
  type NotReady,
  outputsOf,
  type PreparationItem,
  type PreparedChunk,
  type ReadyFacts,
} from './preparation.ts';

export interface SlotRequest {
  readonly cls: ClassId;
  readonly items: readonly PreparationItem[];
  /** A run of them follows: it may begin at once. */
  readonly isRunNext: boolean;
}

/** In the order of the request's items; the tensors stay in the thread. */
export type SlotAnswer = PreparedChunk<ReadyFacts | NotReady>;

export const openThreadPreparation: OpenThreadPreparation = async (data) => {
  const deps = await openChunkDeps(data as ThreadData, systemClock);
  return {
    async prepare(request) {
      const { cls, isRunNext, items } = request as SlotRequest;
      const chunk = await prepareChunk(cls, items, deps);
      const answer: SlotAnswer = { items: chunk.items, fetchMs: chunk.fetchMs };
      const rowsMax = Math.max(1, deps.manifests.get(cls)?.maxBatchSize ?? 1);
      const expected = isRunNext ? expectedRun(chunk.items, rowsMax) : null;
      return { answer, expected, tensors: chunk.tensors, close: chunk.close };
    },
    close: () => closeChunkDeps(deps),
  };
};

/** Where all items are ready and may share a run, that is the run that follows. */
function expectedRun(
  items: readonly (ReadyFacts | NotReady)[],
  rowsMax: number,
): HeldBatch['expected'] {
  const ready = items.filter((item) => item.kind === 'ready');
  const rows = ready.map((item) => item.rows);
  const isOne =
    ready.length === items.length &&
    new Set(ready.map((item) => item.shape)).size === 1 &&
    rows.reduce((sum, own) => sum + own, 0) <= rowsMax;
  return isOne ? { rows, outputs: outputsOf(ready) } : null;
}
