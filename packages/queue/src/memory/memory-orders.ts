/** Orders in memory. */
import type { ControlOrder } from '@inferry/contracts';
import { type Clock, ok, type Result } from '@inferry/runtime';
import { orderedModelsMax, type OrderStore } from '../orders.ts';
import type { Unavailable } from '../port.ts';

export class MemoryOrders implements OrderStore {
  readonly #clock: Clock;
  /** By model; the last given is the last of them. */
  readonly #orders = new Map<string, ControlOrder>();
  #number = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  order({
    model,
    want,
  }: Pick<ControlOrder, 'model' | 'want'>): Promise<Result<ControlOrder, Unavailable>> {
    const atMs = Math.floor(this.#clock.nowMs());
    this.#number = Math.max(this.#number + 1, atMs);
    const order: ControlOrder = { number: this.#number, model, want, atMs };
    this.#orders.delete(model);
    this.#orders.set(model, order);
    if (this.#orders.size > orderedModelsMax) {
      const before = [...this.#orders.values()].slice(0, -1);
      const oldest = before.find((one) => one.want === 'loaded') ?? before[0];
      if (oldest !== undefined) this.#orders.delete(oldest.model);
    }
    return Promise.resolve(ok(order));
  }

  orders(): Promise<readonly ControlOrder[]> {
    return Promise.resolve([...this.#orders.values()]);
  }
}
