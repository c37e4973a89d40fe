/** A job this worker holds a lease on, from its claim until it is settled or given back. */
import type { Outcome } from '@inferry/contracts';
import type { Claim } from '@inferry/queue';
import type { JobSpan } from '@inferry/telemetry';
import type { Marks } from './timings.ts';

export class HeldJob {
  readonly claim: Claim;
  /** Instants on the local clock, filled as the job goes on. */
  readonly marks: Marks = {};
  /** Undefined where its trace is not recorded. */
  readonly span: JobSpan | undefined;
  /** Somebody else has the job: it is not worth a run, and its result would be refused. */
  isLost = false;
  /** Set once: from then on the job is on its way to be settled and nothing else may end it. */
  outcome: Outcome | null = null;
  /** On its way back to its place in the queue. */
  isGoingBack = false;

  constructor(claim: Claim, span?: JobSpan) {
    this.claim = claim;
    this.span = span;
  }

  /** Still ours to run: not lost, not ended, not given back. */
  get isOpen(): boolean {
    return !this.isLost && !this.isGoingBack && this.outcome === null;
  }
}
