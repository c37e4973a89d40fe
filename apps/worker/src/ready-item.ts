/** One job of a batch, prepared: its tensors wait for a run, and are gone once they were given to one. */
import type { JobInput, Tensor } from '@inferry/contracts';
import { invariant } from '@inferry/runtime';
import type { HeldJob } from './held-job.ts';
import type { Prepared } from './preparation/preparation.ts';

type Ready = Extract<Prepared, { kind: 'ready' }>;

export class ReadyItem {
  readonly job: HeldJob;
  readonly rows: number;
  /** Names of the outputs to compute; all when empty. */
  readonly outputs: readonly string[];
  /** The input without its bytes. */
  readonly request: JobInput;
  #tensors: readonly Tensor[] | null;

  constructor(job: HeldJob, ready: Ready) {
    this.job = job;
    this.rows = ready.rows;
    this.outputs = ready.outputs;
    this.request = ready.request;
    this.#tensors = ready.tensors;
  }

  /** False once the tensors went into a run: another run needs the item prepared again. */
  get hasTensors(): boolean {
    return this.#tensors !== null;
  }

  /** The tensors, to look at. */
  get tensors(): readonly Tensor[] {
    invariant(this.#tensors !== null, 'tensors are looked at before they are given away');
    return this.#tensors;
  }

  takeTensors(): readonly Tensor[] {
    const { tensors } = this;
    this.#tensors = null;
    return tensors;
  }

  refill(ready: Ready): void {
    this.#tensors = ready.tensors;
  }
}
