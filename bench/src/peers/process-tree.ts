/**
 * What processes and all their descendants use, from /proc: CPU time by process and by thread, peak
 * memory. Linux only.
 */
import { readdirSync, readFileSync } from 'node:fs';

/** One process or thread, as /proc/.../stat tells it. */
export interface Stat {
  readonly id: number;
  readonly name: string;
  readonly parent: number;
  /** The id of the process that began its session. */
  readonly session: number;
  /** User and system time, in clock ticks. */
  readonly ticks: number;
  /** The same of children that have ended and were waited for. */
  readonly endedChildrenTicks: number;
}

/** Linux counts CPU time for user space in hundredths of a second on every architecture (USER_HZ, proc(5)). */
export const msPerTick = 10;

export function parseStat(text: string): Stat {
  // The name stands in parentheses and may hold spaces and parentheses itself: fields are counted behind the last.
  const open = text.indexOf('(');
  const close = text.lastIndexOf(')');
  const fields = text
    .slice(close + 2)
    .split(' ')
    .map(Number);
  const field = (index: number): number => fields[index] ?? 0;
  return {
    id: Number(text.slice(0, open)),
    name: text.slice(open + 1, close),
    parent: field(1),
    session: field(3),
    ticks: field(11) + field(12),
    endedChildrenTicks: field(13) + field(14),
  };
}

/** The most memory a process has had at once, of /proc/.../status; 0 of a kernel thread. */
export function parsePeakRssBytes(status: string): number {
  return Number(/^VmHWM:\s+(\d+) kB$/mu.exec(status)?.[1] ?? 0) * 1024;
}

/** CPU time in which any core of the machine was not idle, of /proc/stat. */
export function parseBusyMs(stat: string): number {
  const [user = 0, nice = 0, system = 0, , , irq = 0, softirq = 0, steal = 0] = (
    /^cpu +(.*)$/mu.exec(stat)?.[1] ?? ''
  )
    .split(' ')
    .map(Number);
  return (user + nice + system + irq + softirq + steal) * msPerTick;
}

/** The roots, their descendants, and what is left of the sessions that roots began: a daemon leaves its parent, not its session. */
export function membersOf(roots: readonly number[], all: readonly Stat[]): readonly Stat[] {
  const members = new Map<number, Stat>();
  const wanted = new Set(roots);
  // A generation a pass; there are no more generations than processes.
  for (let before = -1; before !== members.size;) {
    before = members.size;
    for (const one of all) {
      const isMember =
        wanted.has(one.id) ||
        members.has(one.parent) ||
        (wanted.has(one.session) && one.session > 0);
      if (isMember) members.set(one.id, one);
    }
  }
  return [...members.values()];
}

/** The members that live now. */
export function processTree(roots: readonly number[]): readonly Stat[] {
  const ids = readdirSync('/proc').filter((name) => /^\d+$/u.test(name));
  const all = ids.flatMap((id) => ifThere(() => [statOf(`/proc/${id}`)]));
  return membersOf(roots, all);
}

/** Of the living, and of their children that have ended. */
export function cpuMsOf(tree: readonly Stat[]): number {
  const ticks = tree.reduce((sum, one) => sum + one.ticks + one.endedChildrenTicks, 0);
  return ticks * msPerTick;
}

/** The sum of each process's own peak. */
export function peakRssBytesOf(tree: readonly Stat[]): number {
  return tree
    .flatMap(({ id }) => ifThere(() => [parsePeakRssBytes(textOf(`/proc/${id}/status`))]))
    .reduce((sum, bytes) => sum + bytes, 0);
}

/** Threads of a process by age, its main thread first; none when it has ended. */
export function threadsOf(pid: number): readonly Stat[] {
  const ids = ifThere(() => readdirSync(`/proc/${pid}/task`));
  return ids
    .flatMap((id) => ifThere(() => [statOf(`/proc/${pid}/task/${id}`)]))
    .toSorted((a, b) => a.id - b.id);
}

export function machineBusyMs(): number {
  return parseBusyMs(textOf('/proc/stat'));
}

function statOf(directory: string): Stat {
  return parseStat(textOf(`${directory}/stat`));
}

function textOf(path: string): string {
  return readFileSync(path, 'utf8');
}

/** What is read, or nothing where the process has ended meanwhile. */
function ifThere<T>(read: () => readonly T[]): readonly T[] {
  try {
    return read();
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ESRCH') return [];
    throw cause;
  }
}
