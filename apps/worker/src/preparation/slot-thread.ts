/** What a compute thread prepares with: it fetches its payloads on a connection of its own. */
import type { ClassId } from '@inferry/contracts';
import type { OpenThreadPreparation } from '@inferry/inference';
import { systemClock } from '@inferry/runtime';
import { closeChunkDeps, openChunkDeps, prepareChunk, type ThreadData } from './prepare-chunk.ts';
import type { NotReady, PreparationItem, PreparedChunk, ReadyFacts } from './preparation.ts';

export interface SlotRequest {
  readonly cls: ClassId;
  readonly items: readonly PreparationItem[];
}

/** In the order of the request's items; the tensors stay in the thread. */
export type SlotAnswer = PreparedChunk<ReadyFacts | NotReady>;

export const openThreadPreparation: OpenThreadPreparation = async (data) => {
  const deps = await openChunkDeps(data as ThreadData, systemClock);
  return {
    async prepare(request) {
      const { cls, items } = request as SlotRequest;
      const chunk = await prepareChunk(cls, items, deps);
      const answer: SlotAnswer = { items: chunk.items, fetchMs: chunk.fetchMs };
      return { answer, tensors: chunk.tensors, close: chunk.close };
    },
    close: () => closeChunkDeps(deps),
  };
};
