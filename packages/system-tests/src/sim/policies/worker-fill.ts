/**
 * Each worker collects a batch of its own: a free one takes a request, then takes turns with the other
 * collectors until its batch is full or a time is over. Source: mosecorg/mosec, where every connection
 * of a worker fills its own batch from one channel.
 */
import type { Request, World } from '../world.ts';
import { Line } from './line.ts';

interface Collector {
  readonly worker: number;
  readonly batch: Request[];
  isClosed: boolean;
}

export class WorkerFill extends Line {
  readonly #delayMs: number;
  /** In the order in which they take turns. */
  #collectors: Collector[] = [];

  constructor(world: World, delayMs: number) {
    super(world);
    this.#delayMs = delayMs;
  }

  arrive(request: Request): void {
    this.enter(request);
    this.dispatch();
  }

  protected dispatch(): void {
    while (this.waiting.length > 0) {
      this.#giveToNext();
      while (this.waiting.length > 0 && this.hasFree) this.#open();
      if (this.#collectors.length === 0 && !this.hasFree) return;
    }
  }

  #giveToNext(): void {
    const collector = this.#collectors.shift();
    if (collector === undefined) return;
    collector.batch.push(...this.waiting.take(1));
    if (collector.batch.length >= this.rowsMax) this.#close(collector);
    else this.#collectors.push(collector);
  }

  #open(): void {
    const collector = { worker: this.occupy(), batch: this.waiting.take(1), isClosed: false };
    this.#collectors.push(collector);
    this.world.engine.after(this.#delayMs, () => {
      if (!collector.isClosed) this.#close(collector);
    });
  }

  #close(collector: Collector): void {
    collector.isClosed = true;
    this.#collectors = this.#collectors.filter((other) => other !== collector);
    this.run(collector.worker, collector.batch);
  }
}
