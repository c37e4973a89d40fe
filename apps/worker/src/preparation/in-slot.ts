/**
 * Preparation in the thread of a slot: payloads are fetched and decoded by the thread that runs them, and
 * the tensors stay there until {@link SlotPreparation.close}.
 */
import { type ClassId, failure } from '@inferry/contracts';
import { invariant } from '@inferry/runtime';
import type { LaneContext } from '../deps.ts';
import type { Slot } from '../slots.ts';
import type { Preparation, PreparationItem, PreparedAt } from './preparation.ts';
import type { SlotAnswer, SlotRequest } from './slot-thread.ts';

export class SlotPreparation implements Preparation {
  readonly #slot: Slot;
  readonly #lane: Pick<LaneContext, 'clock' | 'limits'>;
  readonly #batches: number[] = [];

  /** The slot is the caller's. */
  constructor(slot: Slot, lane: Pick<LaneContext, 'clock' | 'limits'>) {
    this.#slot = slot;
    this.#lane = lane;
  }

  async prepare(cls: ClassId, items: readonly PreparationItem[]): Promise<readonly PreparedAt[]> {
    const { preparer } = this.#slot;
    invariant(preparer !== null, 'the slot prepares');
    if (items.length === 0) return [];
    const { clock, limits } = this.#lane;
    const rows = items.reduce((sum, item) => sum + item.rows, 0);
    const request: SlotRequest = { cls, items };
    const sentAtMs = clock.nowMs();
    const prepared = await this.#slot.prepare(rows, limits.preparationMsMax, () =>
      preparer.prepare(request),
    );
    const preparedAtMs = clock.nowMs();
    if (!prepared.ok) {
      const broken = failure('internal', prepared.error.detail);
      const refused = { kind: 'refused', failure: broken } as const;
      return items.map(() => ({ prepared: refused, fetchedAtMs: preparedAtMs, preparedAtMs }));
    }
    const { batch } = prepared.value;
    const answer = prepared.value.answer as SlotAnswer;
    this.#batches.push(batch);
    const fetchedAtMs = Math.min(sentAtMs + answer.fetchMs, preparedAtMs);
    return answer.items.map((item, position) => ({
      prepared:
        item.kind === 'ready'
          ? { ...item, run: { held: { batch, position }, rows: item.rows } }
          : item,
      fetchedAtMs,
      preparedAtMs,
    }));
  }

  /** Nothing of what was prepared is run any more. */
  close(): Promise<void> {
    for (const batch of this.#batches.splice(0)) this.#slot.preparer?.drop(batch);
    return Promise.resolve();
  }
}
