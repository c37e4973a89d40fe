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
  /** Set once: from then on the job is on its way to be settled and nothing else may end it. */
  outcome: Outcome | null = null;
  /** Called when the job is lost, or on its way back: what is done for it may stop. */
  onGone: () => void = () => undefined;
  #isLost = false;
  #isGoingBack = false;

  constructor(claim: Claim, span?: JobSpan) {
    this.claim = claim;
    this.span = span;
  }

  /** Somebody else has the job: it is not worth a run, and its result would be refused. */
  get isLost(): boolean {
    return this.#isLost;
  }

  set isLost(isLost: boolean) {
    this.#isLost = isLost;
    if (isLost) this.onGone();
  }

  /** On its way back to its place in the queue. */
  get isGoingBack(): boolean {
    return this.#isGoingBack;
  }

  set isGoingBack(isGoingBack: boolean) {
    this.#isGoingBack = isGoingBack;
    if (isGoingBack) this.onGone();
  }

  /** Still ours to run: not lost, not ended, not given back. */
  get isOpen(): boolean {
    return !this.isLost && !this.isGoingBack && this.outcome === null;
  }
}
