/**
 * When a class that is to be served no longer may go: when nobody sends it jobs any more and none is left. A job
 * that was accepted for it before is served; how long it may wait is bounded by its deadline.
 */
import { type ClassId, classOf, type WorkerAnnouncement } from '@inferry/contracts';
import type { ClassStats } from '@inferry/queue';

export class Retirement {
  readonly #graceMs: number;
  /** Since when nothing speaks against it. */
  readonly #sinceMs = new Map<ClassId, number>();

  /** `graceMs`: for so long nothing may speak against it. Gateways learn of a change within it. */
  constructor(graceMs: number) {
    this.#graceMs = graceMs;
  }

  /** Those of the classes that may go now; `stats` in their order. */
  over(
    classes: readonly ClassId[],
    workers: readonly WorkerAnnouncement[],
    stats: readonly Pick<ClassStats, 'active' | 'waiting'>[],
    nowMs: number,
  ): readonly ClassId[] {
    const wanted = wantedClasses(workers);
    for (const cls of this.#sinceMs.keys()) if (!classes.includes(cls)) this.#sinceMs.delete(cls);
    return classes.filter((cls, i) => {
      const { active, waiting } = stats[i] ?? { active: 1, waiting: 1 };
      if (wanted.has(cls) || active + waiting > 0) {
        this.#sinceMs.delete(cls);
        return false;
      }
      const sinceMs = this.#sinceMs.get(cls) ?? nowMs;
      this.#sinceMs.set(cls, sinceMs);
      return nowMs - sinceMs >= this.#graceMs;
    });
  }

  /** Nobody knows how things stand. */
  reset(): void {
    this.#sinceMs.clear();
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
