/** The workers that serve a class: what their runs take, and when their slots are expected to be free. */
import type { ServerView, ServiceProfile } from '@inferry/contracts';
import type { Clock } from '@inferry/runtime';
import type { Pace } from '../retry-pace.ts';
import { checkProfile, type QueueRules } from '../rules.ts';

interface Server {
  profile: ServiceProfile;
  /** It is believed to live until then. */
  untilMs: number;
  /** One entry a slot. */
  freeAtMs: number[];
}

export class Servers {
  readonly #clock: Clock;
  readonly #leaseMs: number;
  readonly #serviceMs: QueueRules['serviceMs'];
  readonly #servers = new Map<string, Server>();
  #rowWorkMs: number | null = null;

  constructor(clock: Clock, leaseMs: number, serviceMs: QueueRules['serviceMs']) {
    this.#clock = clock;
    this.#leaseMs = leaseMs;
    this.#serviceMs = serviceMs;
  }

  /** A worker that has not claimed yet has one slot, which is free. Null: it serves no longer. */
  offer(workerId: string, profile: ServiceProfile | null): void {
    const nowMs = this.#clock.nowMs();
    const freeAtMs = this.#live().get(workerId)?.freeAtMs ?? [nowMs];
    if (profile === null) {
      this.#servers.delete(workerId);
      return;
    }
    checkProfile(profile);
    this.#servers.set(workerId, { profile, untilMs: nowMs + this.#leaseMs, freeAtMs });
    let speed = 0;
    for (const other of this.#servers.values()) speed += 1 / other.profile.rowWorkMs;
    this.#rowWorkMs = this.#servers.size / speed;
  }

  /**
   * Time of a worker that a row takes, at the mean speed of those that lived when one told last: together
   * they do as much as so many of that speed would. Null before any told.
   */
  get rowWorkMs(): number | null {
    return this.#rowWorkMs;
  }

  /** A worker claimed `rows` (0: none), with slots that are free in so many ms; the next one runs them. */
  claimed(workerId: string, freeInMs: readonly number[], rows: number): void {
    const server = this.#live().get(workerId);
    if (server === undefined) return;
    const nowMs = this.#clock.nowMs();
    const slots = (freeInMs.length === 0 ? [0] : freeInMs).map((ms) => Math.max(0, ms));
    if (rows > 0) {
      const next = slots.indexOf(Math.min(...slots));
      slots[next] = (slots[next] ?? 0) + this.#serviceMs(server.profile, rows);
    }
    server.freeAtMs = slots.map((ms) => nowMs + ms);
    server.untilMs = nowMs + this.#leaseMs;
  }

  /** Every slot, in the order of the workers' names: the first of equals is the same everywhere. */
  views(): readonly ServerView[] {
    const nowMs = this.#clock.nowMs();
    return [...this.#live()]
      .toSorted(([a], [b]) => (a < b ? -1 : 1))
      .flatMap(([, { freeAtMs, profile }]) =>
        freeAtMs.map((atMs) => ({ freeInMs: Math.max(0, atMs - nowMs), profile })),
      );
  }

  get pace(): Pace {
    let [rate, together, slots] = [0, 0, 0];
    for (const { freeAtMs, profile } of this.#live().values()) {
      const runMs = Math.max(this.#serviceMs(profile, profile.rowsMax), 0.001);
      rate += (freeAtMs.length * profile.rowsMax) / runMs;
      together += freeAtMs.length * profile.rowsMax;
      slots += freeAtMs.length;
    }
    return { rowMs: 1 / rate, batchRows: Math.ceil(together / slots) };
  }

  get count(): number {
    return this.#live().size;
  }

  /** Until a slot of another worker is free; null when there is no other worker. */
  othersFreeInMs(workerId: string): number | null {
    let leastMs = Infinity;
    for (const [id, { freeAtMs }] of this.#live()) {
      if (id !== workerId) leastMs = Math.min(leastMs, ...freeAtMs);
    }
    return leastMs === Infinity ? null : Math.max(0, leastMs - this.#clock.nowMs());
  }

  #live(): ReadonlyMap<string, Server> {
    const nowMs = this.#clock.nowMs();
    for (const [id, { untilMs }] of this.#servers) if (untilMs <= nowMs) this.#servers.delete(id);
    return this.#servers;
  }
}
