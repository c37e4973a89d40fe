/**
 * Preparation in the thread of a slot: payloads are fetched and decoded by the thread that runs them, and
 * the tensors stay there until {@link SlotPreparation.close}. When the thread breaks the batch is divided,
 * like one that the model refuses, until the inputs that break it stand alone.
 */
import { type ClassId, failure } from '@inferry/contracts';
import { err, invariant, ok, type Result } from '@inferry/runtime';
import { runIsolating } from '@inferry/scheduling';
import type { LaneContext } from '../deps.ts';
import type { Slot } from '../slots.ts';
import type { Prepared, Preparation, PreparationItem, PreparedAt } from './preparation.ts';
import type { SlotAnswer, SlotRequest } from './slot-thread.ts';

export class SlotPreparation implements Preparation {
  readonly #slot: Slot;
  readonly #lane: Pick<LaneContext, 'clock' | 'limits' | 'manifest'>;
  readonly #batches: number[] = [];
  #spentMs = 0;

  /** The slot is the caller's. */
  constructor(slot: Slot, lane: Pick<LaneContext, 'clock' | 'limits' | 'manifest'>) {
    this.#slot = slot;
    this.#lane = lane;
  }

  /** How long the thread has prepared so far, ms. */
  get spentMs(): number {
    return this.#spentMs;
  }

  async prepare(cls: ClassId, items: readonly PreparationItem[]): Promise<readonly PreparedAt[]> {
    if (items.length === 0) return [];
    const results = await runIsolating(
      items,
      (part) => this.#prepareTogether(cls, part),
      () => 'bisect',
    );
    const endedAtMs = this.#lane.clock.nowMs();
    return results.map((result) => {
      if (result.ok) return result.value;
      const broken = { kind: 'refused', failure: failure('internal', result.error) } as const;
      return { prepared: broken, fetchedAtMs: endedAtMs, preparedAtMs: endedAtMs };
    });
  }

  /** The error says how the thread ended. */
  async #prepareTogether(
    cls: ClassId,
    items: readonly PreparationItem[],
  ): Promise<Result<readonly PreparedAt[], string>> {
    const { preparer } = this.#slot;
    invariant(preparer !== null, 'the slot prepares');
    const { clock, limits } = this.#lane;
    const rows = items.reduce((sum, item) => sum + item.rows, 0);
    const request: SlotRequest = { cls, items, isRunNext: true };
    const sentAtMs = clock.nowMs();
    const prepared = await this.#slot.prepare(rows, limits.preparationMsMax, () =>
      preparer.prepare(request),
    );
    const preparedAtMs = clock.nowMs();
    this.#spentMs += preparedAtMs - sentAtMs;
    if (!prepared.ok) return err(prepared.error.detail);
    const { batch } = prepared.value;
    const answer = prepared.value.answer as SlotAnswer;
    this.#batches.push(batch);
    const fetchedAtMs = Math.min(sentAtMs + answer.fetchMs, preparedAtMs);
    return ok(
      heldItems(answer, batch).map((item) => ({ prepared: item, fetchedAtMs, preparedAtMs })),
    );
  }

  /** Nothing of what was prepared is run any more. Resolves when the thread is free. */
  async close(): Promise<void> {
    for (const batch of this.#batches.splice(0)) this.#slot.preparer?.drop(batch);
    await this.#slot.endUnwanted(this.#lane.manifest.executionTimeoutMs);
  }
}

/** What a thread answered of a batch that it holds, as items to run. */
export function heldItems({ items }: SlotAnswer, batch: number): readonly Prepared[] {
  return items.map((item, position) =>
    item.kind === 'ready' ? { ...item, run: { held: { batch, position }, rows: item.rows } } : item,
  );
}
