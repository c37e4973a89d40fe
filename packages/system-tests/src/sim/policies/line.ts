/** What the baselines have in common: one line in order of arrival, and workers that are free or not. */
import type { Policy, Request, World } from '../world.ts';
import { Deque } from '../deque.ts';

export abstract class Line implements Policy {
  readonly world: World;
  readonly waiting = new Deque<Request>();
  readonly #free: boolean[];

  constructor(world: World) {
    this.world = world;
    this.#free = world.options.slowness.map(() => true);
  }

  abstract arrive(request: Request): void;

  /** What to do when a worker has become free. */
  protected abstract dispatch(): void;

  protected get nowMs(): number {
    return this.world.engine.nowMs();
  }

  protected get rowsMax(): number {
    return this.world.options.rowsMax;
  }

  protected get hasFree(): boolean {
    return this.#free.includes(true);
  }

  protected enter(request: Request): void {
    this.world.accept(request);
    this.waiting.push(request);
  }

  /** Takes a free worker; -1 when none is. */
  protected occupy(): number {
    const worker = this.#free.indexOf(true);
    if (worker >= 0) this.#free[worker] = false;
    return worker;
  }

  protected run(
    worker: number,
    batch: readonly Request[],
    onRan: (ms: number) => void = () => undefined,
  ): void {
    this.world.run(worker, batch, (ms) => {
      this.world.answer(batch);
      this.#free[worker] = true;
      onRan(ms);
      this.dispatch();
    });
  }
}
