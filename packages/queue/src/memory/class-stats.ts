/** How a class of the memory queue stands. */
import type { ClassId, Priority } from '@inferry/contracts';
import type { ClassStats } from '../port.ts';
import type { ClassView } from './admission.ts';
import type { Outcomes } from './outcomes.ts';

interface ClassState extends Pick<ClassView, 'arrivals' | 'line' | 'servers'> {
  readonly outcomes: Outcomes;
  readonly active: number;
  readonly nowMs: number;
}

export function classStatsOf(cls: ClassId, state: ClassState): ClassStats {
  const { active, arrivals, line, nowMs, outcomes, servers } = state;
  const { flows } = line;
  const ageMs = (priority: Priority): number =>
    flows
      .filter((flow) => flow.priority === priority)
      .reduce((most, { oldest }) => Math.max(most, nowMs - (oldest?.enqueuedAtMs ?? nowMs)), 0);
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
    flows: flows.map(({ priority, takenRows, tenant, waiting }) => {
      return { tenant, priority, waiting, takenRows };
    }),
  };
}
