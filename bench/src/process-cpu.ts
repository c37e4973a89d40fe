/** CPU time of one process, from /proc: all of its threads, user and system. Linux only. */
import { readFileSync } from 'node:fs';
import { msPerTick, parseStat } from './peers/process-tree.ts';

/** Milliseconds of CPU the process has used so far. */
export function cpuMs(pid: number): number {
  return parseStat(readFileSync(`/proc/${pid}/stat`, 'utf8')).ticks * msPerTick;
}
