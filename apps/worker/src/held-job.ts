/** A job this worker holds a lease on, from its claim until it is settled or given back. */
import type { Outcome } from '@inferry/contracts';
import type { Claim } from '@inferry/queue';
import type { Marks } from './timings.ts';

export class HeldJob {
  readonly claim: Claim;
  /** Instants on the local clock, filled as the job goes on. */
  readonly marks: Marks = {};
  /** Somebody else has the job: it is not worth a run, and its result would be refused. */
  isLost = false;
  /** Set once: from then on the job is on its way to be settled and nothing else may end it. */
  outcome: Outcome | null = null;
  /** On its way back to its place in the queue. */
  isGoingBack = false;

  constructor(claim: Claim) {
    this.claim = claim;
  }

  /** Still ours to run: not lost, not ended, not given back. */
  get isOpen(): boolean {
    return !this.isLost && !this.isGoingBack && this.outcome === null;
  }
}
