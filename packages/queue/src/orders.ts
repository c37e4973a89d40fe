/** Orders to load or unload models, kept for all workers: those that live now and those that start later. */
import type { ControlOrder } from '@inferry/contracts';
import type { Result } from '@inferry/runtime';
import type { Unavailable } from './port.ts';

/** Models whose last order is kept; beyond it the oldest is forgotten, those to load before those to unload. */
export const orderedModelsMax = 1_000;

export interface OrderStore {
  /**
   * Tells all workers what is wanted of a model, in place of what was wanted before. Accepted also where the
   * queue takes no more jobs. A call that answers `queue_unavailable` may have been carried out.
   */
  order(wanted: Pick<ControlOrder, 'model' | 'want'>): Promise<Result<ControlOrder, Unavailable>>;

  /** The last order of each model, in the order in which they were given. Throws when the queue is away. */
  orders(): Promise<readonly ControlOrder[]>;
}
