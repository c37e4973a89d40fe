/** Where the CPU time of a run went: by process and by thread. */
import { msPerTick, type Stat, threadsOf } from './process-tree.ts';

export interface ThreadUsage {
  readonly process: string;
  readonly thread: string;
  readonly cpuMs: number;
}

/** CPU milliseconds for one request, the largest first. */
export type Breakdown = readonly ThreadUsage[];

/** Node's own threads, which begin right after the main thread: timers of V8, its four helpers (garbage, compiler), signals. */
const nodeHelpers = 6;
/** Threads that cost less than this are told together. */
const shownMinMs = 0.02;

/** What each living thread has used so far, by its id. */
export function threadUsage(
  tree: readonly Stat[],
  roles: ReadonlyMap<number, string>,
): ReadonlyMap<number, ThreadUsage> {
  const usage = new Map<number, ThreadUsage>();
  for (const { id, name } of tree) {
    for (const [index, thread] of threadsOf(id).entries()) {
      usage.set(thread.id, {
        process: roles.get(id) ?? `${name} ${id}`,
        thread: nameOf(thread, { index, pid: id }),
        cpuMs: thread.ticks * msPerTick,
      });
    }
  }
  return usage;
}

/** Threads of a Node process all have its name, or that of its title: they are told apart by age. */
function nameOf(
  { id, name }: Stat,
  { index, pid }: { readonly index: number; readonly pid: number },
): string {
  if (id === pid) return 'main';
  if (!/^(?:node|MainThread|inferry)/u.test(name)) return name;
  return index <= nodeHelpers ? 'garbage and compiler' : `thread ${index}`;
}

/** Threads with one name in one process are one line. A thread that ended meanwhile is not counted. */
export function usageBetween(
  before: ReadonlyMap<number, ThreadUsage>,
  after: ReadonlyMap<number, ThreadUsage>,
  requests: number,
): Breakdown {
  const lines = new Map<string, ThreadUsage>();
  const add = ({ process, thread, cpuMs }: ThreadUsage): void => {
    const key = `${process} ${thread}`;
    lines.set(key, { process, thread, cpuMs: cpuMs + (lines.get(key)?.cpuMs ?? 0) });
  };
  for (const [id, usage] of after) {
    const cpuMs = (usage.cpuMs - (before.get(id)?.cpuMs ?? 0)) / requests;
    add({ ...usage, cpuMs });
  }
  const all = [...lines.values()].toSorted((a, b) => b.cpuMs - a.cpuMs);
  const shown = all.filter(({ cpuMs }) => cpuMs >= shownMinMs);
  const rest = all.slice(shown.length).reduce((sum, { cpuMs }) => sum + cpuMs, 0);
  return [...shown, { process: 'all', thread: 'other threads', cpuMs: rest }];
}
