/** Orders to all workers to load or unload a model, and what became of them. */

/** The last order of a model stands until the next: a worker that starts later carries it out too. */
export interface ControlOrder {
  /** Rises with each order, of whatever model, also when the queue has lost its memory. */
  readonly number: number;
  readonly model: string;
  /** loaded: what its folder holds now is loaded, also where the model is served already. */
  readonly want: 'loaded' | 'unloaded';
  /** On the queue's clock, epoch ms. */
  readonly atMs: number;
}

/** What one worker made of an order. */
export interface CarriedOut {
  /** Of the order. */
  readonly number: number;
  /** Null: done. What was served before is still served where it failed. */
  readonly problem: string | null;
}
