/**
 * How the classes of one worker share it, in milliseconds of run time and not in turns: start-time fair
 * queueing with classes as flows. The virtual time of a class is what it was served by its weight; of those
 * that want the device the one that is furthest behind has its turn. Who did not want is owed nothing.
 *
 * Promise, with one slot, S(c) the longest run of a class and w(c) its weight: a class that wants its next
 * turn at once has it after at most S(c) + the sum over the others of S(c) * w(other) / w(c) + S(other).
 *
 * Source: as in fair-queue.ts. Pure; floating point, for it never leaves the process.
 */
import { invariant } from '@inferry/runtime';

interface Share {
  readonly weight: number;
  /** Most runs of the class at a time, where the device has room for them. */
  readonly runsMax: number;
  /** Run time by weight, ms. */
  virtualMs: number;
  /** The place among those that ask; null while it wants nothing. */
  asked: number | null;
}

export class TimeShare {
  #capacity: number;
  readonly #shares = new Map<string, Share>();
  #asked = 0;
  /** Virtual time: where the class stood that took the last turn, before it was charged for it. */
  #nowMs = 0;

  /** `capacity`: runs at a time, at least 1. */
  constructor(capacity: number) {
    invariant(capacity >= 1, 'a device has at least one slot');
    this.#capacity = capacity;
  }

  /** The device makes another number of runs at a time from now on. */
  resize(capacity: number): void {
    invariant(capacity >= 1, 'a device has at least one slot');
    this.#capacity = capacity;
  }

  /** Adds a class that wants nothing yet, with most of its runs at a time; one that joins again begins anew. */
  join(cls: string, weight: number, runsMax = 1): void {
    invariant(weight > 0 && Number.isFinite(weight), 'a weight is positive');
    invariant(runsMax >= 1, 'a class runs in the slots that there are');
    this.#shares.set(cls, { weight, runsMax, virtualMs: 0, asked: null });
  }

  /** The class is not known any more. */
  part(cls: string): void {
    this.#shares.delete(cls);
  }

  /** The class has work. It starts where the last turn began, unless it is ahead of that. */
  wants(cls: string): void {
    const share = this.#share(cls);
    if (share.asked !== null) return;
    share.virtualMs = Math.max(share.virtualMs, this.#nowMs);
    share.asked = this.#place();
  }

  /** The class has no work. */
  rests(cls: string): void {
    this.#share(cls).asked = null;
  }

  /** Whose turn it is, of those that want and `can` have it; null when there is none. Changes nothing. */
  next(can: (cls: string) => boolean = () => true): string | null {
    let first: { readonly cls: string; readonly virtualMs: number; readonly asked: number } | null =
      null;
    for (const [cls, { asked, virtualMs }] of this.#shares) {
      if (asked === null || !can(cls)) continue;
      const isBefore =
        first === null ||
        virtualMs < first.virtualMs ||
        (virtualMs === first.virtualMs && asked < first.asked);
      if (isBefore) first = { cls, virtualMs, asked };
    }
    return first?.cls ?? null;
  }

  /**
   * The class takes its turn. Who is further behind was passed over, could not have it, and is owed nothing:
   * what it missed would add up, and one day keep all others waiting.
   */
  takes(cls: string): void {
    this.#nowMs = this.#share(cls).virtualMs;
    for (const share of this.#shares.values()) {
      if (share.asked !== null) share.virtualMs = Math.max(share.virtualMs, this.#nowMs);
    }
  }

  /** The class had the device for so long, or is expected to; a later correction may be negative. */
  charge(cls: string, ms: number): void {
    const share = this.#share(cls);
    share.virtualMs += ms / share.weight;
    // After its turn it is the last to have asked; or one whose runs take no time would never end.
    if (share.asked !== null) share.asked = this.#place();
  }

  /**
   * How much longer than they are its runs seem, several of which may share its part, while it shares the
   * device with those that want it; at least 1.
   */
  stretch(cls: string): number {
    const own = this.#share(cls);
    let weight = 0;
    for (const share of this.#shares.values()) {
      if (share === own || share.asked !== null) weight += share.weight;
    }
    const runs = Math.min(own.runsMax, this.#capacity);
    return Math.max(1, (runs * weight) / (own.weight * this.#capacity));
  }

  #place(): number {
    this.#asked += 1;
    return this.#asked;
  }

  #share(cls: string): Share {
    const share = this.#shares.get(cls);
    invariant(share !== undefined, 'a class joins first');
    return share;
  }
}
