/**
 * The rules of order that an implementation of the queue follows. They are those of @inferry/scheduling,
 * handed in where the queue is made; the durable queue has them in Lua (lua-parts.ts), and a test holds
 * the two together.
 */
import type { Estimate, LineView, ServiceProfile } from '@inferry/contracts';

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
}
