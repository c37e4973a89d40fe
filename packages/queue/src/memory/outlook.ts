/** What is told of the line: to a job that waits in it, and to a worker that takes from it. */
import type { JobRecord } from '@inferry/contracts';
import type { Claimed } from '../port.ts';
import { type ClassView, estimateOf } from './admission.ts';
import type { Job } from './job.ts';

/** Of a waiting job. */
export function prospectOf(
  view: ClassView,
  job: Job,
  nowMs: number,
): Pick<JobRecord, 'ahead' | 'isAheadApproximate' | 'etaAtMs'> {
  const ahead = view.line.rankOf(job);
  const expected = estimateOf(view, ahead, job.envelope.rows);
  return {
    ahead,
    isAheadApproximate: view.line.isMixed,
    etaAtMs: expected === null ? null : nowMs + expected.readyInMs,
  };
}

/** What a claim tells of the class, as it is after it. */
export function outlookOf(
  { arrivals, line, servers }: Pick<ClassView, 'arrivals' | 'line' | 'servers'>,
  workerId: string,
  nowMs: number,
): Omit<Claimed, 'claims' | 'expired' | 'rowsWaiting' | 'suspectAhead'> {
  return {
    waiting: line.jobs,
    oldestAtMs: line.first?.enqueuedAtMs ?? null,
    rowEveryMs: arrivals.rowEveryMs,
    lastArrivalAtMs: arrivals.lastAtMs,
    othersFreeInMs: servers.othersFreeInMs(workerId),
    workers: servers.count,
    nowMs,
  };
}
