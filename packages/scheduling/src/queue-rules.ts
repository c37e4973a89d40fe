/** The rules of order and of estimates, as a queue takes them. */
import { estimate, rowsToCome, serviceMs } from './estimate.ts';
import { nextTag, rowsBetween, startTag, timeAfter } from './fair-queue.ts';

export const queueRules = {
  startTag,
  nextTag,
  timeAfter,
  rowsBetween,
  serviceMs,
  estimate,
  rowsToCome,
} as const;
