/**
 * The rules of order that an implementation of the queue follows. They are those of @inferry/scheduling,
 * handed in where the queue is made; the durable queue has them in Lua (lua-parts.ts), and a test holds
 * the two together.
 */
import type { Estimate, LineView, ServiceProfile } from '@inferry/contracts';
import { invariant } from '@inferry/runtime';

/** Mean times between the arrivals of two rows, ms; null while nothing is known. */
interface ArrivalRates {
  /** Of all flows. */
  readonly rowEveryMs: number | null;
  /** Of the job's own flow. */
  readonly ownRowEveryMs: number | null;
}

export interface QueueRules {
  /** The tag of a job that arrives now; `flowTag` is the next tag of its flow, or 0. */
  readonly startTag: (virtualTime: number, flowTag: number) => number;
  /** The earliest tag of the next job of the flow. */
  readonly nextTag: (tag: number, rows: number, weight: number) => number;
  /** Virtual time once a job with `tag` has been taken. */
  readonly timeAfter: (virtualTime: number, tag: number) => number;
  /** Expected duration of a run of so many rows, ms. */
  readonly serviceMs: (profile: ServiceProfile, rows: number) => number;
  /** When a job that joins the line now would have its answer; null without servers. */
  readonly estimate: (line: LineView) => Estimate | null;
  /** Rows of its own flow that a job with `tag` has before it. */
  readonly rowsBetween: (virtualTime: number, tag: number, weight: number) => number;
  /** Rows of other flows that will come within `readyInMs` and go before a job with `ownRows` before it. */
  readonly rowsToCome: (ownRows: number, readyInMs: number, rates: ArrivalRates) => number;
}

/** What a worker tells of itself; another profile is a bug in it. */
export function checkProfile({ rowWorkMs, rowsMax }: ServiceProfile): void {
  invariant(rowsMax >= 1, 'a batch holds at least one row');
  invariant(rowWorkMs > 0 && rowWorkMs < Infinity, 'a row takes time of its worker');
}
