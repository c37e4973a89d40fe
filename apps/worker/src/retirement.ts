/**
 * When a class that is to be served no longer may go: when nobody sends it jobs any more and none is left. A job
 * that was accepted for it before is served; how long it may wait is bounded by its deadline.
 */
import { type ClassId, classOf, type WorkerAnnouncement } from '@inferry/contracts';
import type { ClassStats } from '@inferry/queue';

export class Retirement {
  readonly #graceMs: number;
  /** Since when nothing speaks against it, and the rows that had been accepted by then. */
  readonly #quiet = new Map<ClassId, { readonly sinceMs: number; readonly rows: number }>();

  /** `graceMs`: for so long nothing may speak against it. Gateways learn of a change within it. */
  constructor(graceMs: number) {
    this.#graceMs = graceMs;
  }

  /** Those of the classes that may go now; `stats` in their order. */
  over(
    classes: readonly ClassId[],
    workers: readonly WorkerAnnouncement[],
    stats: readonly Pick<ClassStats, 'active' | 'arrivedRows' | 'waiting'>[],
    nowMs: number,
  ): readonly ClassId[] {
    const wanted = wantedClasses(workers);
    for (const cls of this.#quiet.keys()) if (!classes.includes(cls)) this.#quiet.delete(cls);
    return classes.filter((cls, i) => {
      const told = stats[i];
      if (told === undefined || wanted.has(cls) || told.active + told.waiting > 0) {
        this.#quiet.delete(cls);
        return false;
      }
      const rows = told.arrivedRows;
      const known = this.#quiet.get(cls);
      // What came between two looks, and is done, shows that somebody still sends.
      const quiet = known?.rows === rows ? known : { sinceMs: nowMs, rows };
      this.#quiet.set(cls, quiet);
      return nowMs - quiet.sinceMs >= this.#graceMs;
    });
  }

  /** Nobody knows how things stand. */
  reset(): void {
    this.#quiet.clear();
  }
}

/** What some worker has not given up. One that drains serves nothing any more. */
function wantedClasses(workers: readonly WorkerAnnouncement[]): ReadonlySet<ClassId> {
  return new Set(
    workers
      .filter(({ state }) => state !== 'draining')
      .flatMap(({ models }) => models.filter(({ state }) => state !== 'retiring'))
      .map(({ manifest }) => classOf(manifest.name, manifest.version)),
  );
}
