/** How a class of the memory queue stands. */
import type { ClassId, Priority } from '@inferry/contracts';
import type { ClassStats } from '../reports.ts';
import type { ClassView } from './admission.ts';
import type { Outcomes } from './outcomes.ts';

interface ClassState extends Pick<ClassView, 'arrivals' | 'line' | 'servers'> {
  readonly outcomes: Outcomes;
  readonly active: number;
  readonly givenBackJobs: number;
  readonly nowMs: number;
}

export function classStatsOf(cls: ClassId, state: ClassState): ClassStats {
  const { active, arrivals, givenBackJobs, line, nowMs, outcomes, servers } = state;
  const ageMs = (priority: Priority): number =>
    nowMs - (line.oldestOf(priority)?.enqueuedAtMs ?? nowMs);
  const oldestAgeMsByPriority = { high: ageMs('high'), normal: ageMs('normal'), low: ageMs('low') };
  return {
    class: cls,
    waiting: line.jobs,
    waitingRows: line.rows,
    active,
    waitingBytes: line.bytes,
    resultBytes: outcomes.bytes,
    arrivedRows: arrivals.rows,
    oldestAgeMs: Math.max(...Object.values(oldestAgeMsByPriority)),
    oldestAgeMsByPriority,
    workers: servers.count,
    rowWorkMs: servers.rowWorkMs,
    tenantsWaiting: line.tenants,
    givenBackJobs,
  };
}
