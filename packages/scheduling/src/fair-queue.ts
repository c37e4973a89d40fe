/**
 * Whose turn it is: start-time fair queueing. Jobs of one tenant and priority are a flow; each job gets a
 * start tag when it arrives, the smallest tag is served next, and virtual time is where service has got to.
 * A flow that asks for more than its share runs ahead in virtual time and waits for the others; one that
 * was idle starts where service is now and is owed nothing. With one flow this is order of arrival.
 *
 * Source: Goyal, Vin, Cheng, "Start-time Fair Queuing" (SIGCOMM 1996). Tags are integers, so that any
 * number of processes and two languages agree on them. Pure.
 */
import type { Priority } from '@inferry/contracts';
import { invariant } from '@inferry/runtime';

/**
 * One row of a flow of weight 1 in units of virtual time: divided by every weight up to 10 times every
 * priority it leaves a whole number. At 10,000 rows a second tags stay exact (below 2^53) for a year.
 */
const rowTag = 8 * 2_520;

const priorityWeights: Readonly<Record<Priority, number>> = { high: 8, normal: 4, low: 1 };

/** The weight of a flow; `tenantWeight` is a whole number from 1 to 100. */
export function flowWeight(tenantWeight: number, priority: Priority): number {
  invariant(Number.isInteger(tenantWeight) && tenantWeight >= 1, 'a weight is a whole number');
  return tenantWeight * priorityWeights[priority];
}

/** The tag of a job that arrives now. `flowTag`: {@link nextTag} of the job of its flow before it, or 0. */
export function startTag(virtualTime: number, flowTag: number): number {
  return Math.max(virtualTime, flowTag);
}

/** The earliest tag of the next job of the flow, after one with `tag` and so many rows. */
export function nextTag(tag: number, rows: number, weight: number): number {
  invariant(rows >= 1 && weight >= 1, 'a job has rows and its flow a weight');
  return tag + Math.max(1, Math.floor((rows * rowTag) / weight));
}

/** Rows that a flow asked for between `virtualTime` and its tag: what its next job has of its own before it. */
export function rowsBetween(virtualTime: number, tag: number, weight: number): number {
  return Math.max(0, Math.floor(((tag - virtualTime) * weight) / rowTag));
}

/**
 * Virtual time once a job with `tag` has been taken: past its tag, so that a job that comes back finds
 * everything else behind it.
 */
export function timeAfter(virtualTime: number, tag: number): number {
  return Math.max(virtualTime, tag + 1);
}
