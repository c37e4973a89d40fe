/** Looks at the resident memory of processes at intervals, while something else puts load on them. */
import { execFileSync } from 'node:child_process';
import { setTimeout as pause } from 'node:timers/promises';
import { parseExposition } from '@inferry/telemetry';
import { judgeMemory, type MemoryVerdict } from './memory.ts';

/** A process: by the address of its metrics, or on this machine by its id. */
export type Watched =
  | { readonly name: string; readonly metricsUrl: string }
  | { readonly name: string; readonly pid: number };

/** Most looks that are kept; beyond, every other one is dropped and the interval doubles. */
const samplesMax = 400;

/** Begins to look; `end` stops it and judges each process. A process that cannot be asked fails the whole. */
export function watchMemory(processes: readonly Watched[]): {
  readonly end: () => Promise<readonly MemoryVerdict[]>;
} {
  const samples = new Map<string, number[]>(processes.map(({ name }) => [name, []]));
  const stop = new AbortController();
  const look = async (): Promise<void> => {
    let intervalMs = 1_000;
    while (!stop.signal.aborted) {
      for (const watched of processes)
        samples.get(watched.name)?.push(await residentBytes(watched));
      if ((samples.values().next().value?.length ?? 0) >= samplesMax) {
        for (const [name, list] of samples)
          samples.set(
            name,
            list.filter((_, i) => i % 2 === 0),
          );
        intervalMs *= 2;
      }
      await pause(intervalMs, undefined, { signal: stop.signal }).catch(() => undefined);
    }
  };
  const looking = look();
  // Whoever waits for the end hears of it; until then it is nobody's.
  looking.catch(() => undefined);
  return {
    async end() {
      stop.abort();
      await looking;
      return [...samples].map(([name, list]) => judgeMemory(name, list));
    },
  };
}

async function residentBytes(watched: Watched): Promise<number> {
  if ('pid' in watched) {
    const kibibytes = Number(execFileSync('ps', ['-o', 'rss=', '-p', String(watched.pid)]));
    return kibibytes * 1024;
  }
  const text = await (await fetch(watched.metricsUrl)).text();
  const found = [...parseExposition(text)].find(([name]) =>
    /^(?:inferry_)?process_resident_memory_bytes$/u.test(name),
  );
  if (found === undefined) throw new Error(`${watched.metricsUrl} tells no resident memory`);
  return found[1];
}
