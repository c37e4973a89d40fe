/** One job of a batch, prepared: its tensors wait for a run. */
import type { RunItem } from '@inferry/inference';
import { invariant } from '@inferry/runtime';
import type { HeldJob } from './held-job.ts';
import type { Prepared, ReadyFacts } from './preparation/preparation.ts';

type Ready = Extract<Prepared, { kind: 'ready' }>;

export class ReadyItem {
  readonly job: HeldJob;
  readonly facts: ReadyFacts;
  #run: RunItem | null;

  constructor(job: HeldJob, ready: Ready) {
    this.job = job;
    this.facts = ready;
    this.#run = ready.run;
  }

  get rows(): number {
    return this.facts.rows;
  }

  /** Null once tensors went into a run: another run needs the item prepared again. */
  get run(): RunItem | null {
    return this.#run;
  }

  /** For a run. Tensors are given away; those that a slot holds stay there. */
  take(): RunItem {
    const run = this.#run;
    invariant(run !== null, 'tensors are given away once');
    if ('tensors' in run) this.#run = null;
    return run;
  }

  refill(ready: Ready): void {
    this.#run = ready.run;
  }
}
