/**
 * How the queues stand, as this gateway last saw them. The background rounds look; who else wants to know is
 * told what they saw while it is fresh, so that scrapes cost the queue nothing, however many there are.
 */
import type { ClassId, ModelManifest, TrafficShare } from '@inferry/contracts';
import type { ClassStats, FlowStats } from '@inferry/queue';
import { Emitter } from '@inferry/runtime';
import { flowWeight } from '@inferry/scheduling';

import type { GatewayDeps } from './deps.ts';
import { type Fairness, FairnessWindow } from './fairness-window.ts';
import { KnownClasses } from './known-classes.ts';

/** A class that this gateway looks after. */
export interface QueueSight {
  readonly manifest: ModelManifest;
  readonly stats: ClassStats;
  /** Rows that arrived since the look before, at whichever gateway; 0 at the first. */
  readonly newRows: number;
  /** Jobs that workers gave back since then, likewise. */
  readonly newGivenBack: number;
  /** Of the requests that name no version of the model; from 0 to 1. */
  readonly trafficShare: number;
  /** Of the last minute, or since this gateway began to look. */
  readonly fairness: Fairness;
}

interface Known {
  readonly window: FairnessWindow;
  arrivedRows: number;
  givenBackJobs: number;
}

/** A look serves for so long. */
const freshMs = 1_000;
/** Flows are looked at this often: they cost the queue more, and fairness is a matter of a minute. */
const flowsEveryMs = 5_000;

export class QueueLooks {
  readonly #deps: Pick<GatewayDeps, 'catalogue' | 'clock' | 'queue' | 'tenants'>;
  /** `looked` tells of all classes that are known then, in order of time. */
  readonly events = new Emitter<{ looked: readonly QueueSight[] }>();
  readonly #classes: KnownClasses;
  readonly #known = new Map<ClassId, Known>();
  #flowsAtMs = -Infinity;
  #last: { readonly atMs: number; readonly sights: readonly QueueSight[] } | undefined;

  constructor(deps: Pick<GatewayDeps, 'catalogue' | 'clock' | 'queue' | 'tenants'>) {
    this.#deps = deps;
    this.#classes = new KnownClasses(deps);
  }

  /** Which are looked at. */
  get classes(): ReadonlyMap<ClassId, ModelManifest> {
    return this.#classes.current();
  }

  /** Looks now: one call a class, now and then two. Throws when the queue cannot be reached. */
  async look(): Promise<readonly QueueSight[]> {
    const { clock, queue } = this.#deps;
    const manifests = this.#classes.current();
    const classes = [...manifests.keys()];
    const atMs = clock.nowMs();
    const isDue = atMs - this.#flowsAtMs >= flowsEveryMs;
    const [all, flows] = await Promise.all([
      queue.stats(classes),
      isDue ? queue.flows(classes) : [],
    ]);
    const last = this.#last;
    // Overtaken by another look: what it saw is newer.
    if (last !== undefined && last.atMs > atMs) return last.sights;
    if (isDue) this.#flowsAtMs = atMs;
    const sights = all.flatMap((stats, i) => {
      if (stats.waiting + stats.active === 0) this.#classes.sawEmpty(stats.class);
      const manifest = manifests.get(stats.class);
      return manifest === undefined ? [] : [this.#see(manifest, stats, flows[i], atMs)];
    });
    for (const cls of this.#known.keys()) if (!manifests.has(cls)) this.#known.delete(cls);
    this.#last = { atMs, sights };
    this.events.emit('looked', sights);
    return sights;
  }

  /** Since the last look that succeeded; infinite before the first. */
  get ageMs(): number {
    return this.#deps.clock.nowMs() - (this.#last?.atMs ?? -Infinity);
  }

  /** As of a second ago at most. Throws when that takes a look and the queue cannot be reached. */
  async recent(): Promise<readonly QueueSight[]> {
    const last = this.#last;
    return last !== undefined && this.ageMs < freshMs ? last.sights : this.look();
  }

  #see(
    manifest: ModelManifest,
    stats: ClassStats,
    flows: readonly FlowStats[] | undefined,
    atMs: number,
  ): QueueSight {
    const { arrivedRows, givenBackJobs } = stats;
    const known = this.#known.get(stats.class) ?? {
      window: new FairnessWindow((flow) => this.#weightOf(flow)),
      arrivedRows,
      givenBackJobs,
    };
    this.#known.set(stats.class, known);
    const newRows = since(known.arrivedRows, arrivedRows);
    const newGivenBack = since(known.givenBackJobs, givenBackJobs);
    known.arrivedRows = arrivedRows;
    known.givenBackJobs = givenBackJobs;
    if (flows !== undefined) known.window.add(atMs, flows);
    const trafficShare = shareOf(manifest, this.#deps.catalogue.get(manifest.name)?.shares ?? []);
    const { fairness } = known.window;
    return { manifest, stats, newRows, newGivenBack, trafficShare, fairness };
  }

  /** A tenant that is configured no more, or at another gateway alone, counts as one of weight 1. */
  #weightOf({ priority, tenant }: FlowStats): number {
    return flowWeight(this.#deps.tenants?.get(tenant) ?? 1, priority);
  }
}

function shareOf({ version }: ModelManifest, shares: readonly TrafficShare[]): number {
  const all = shares.reduce((sum, { weight }) => sum + weight, 0);
  const own = shares.find((share) => share.version === version)?.weight ?? 0;
  return own === 0 ? 0 : own / all;
}

/**
 * A number that fell was begun anew, where the queue lost its memory, or lost the last second of it with a restart
 * of Redis: what was counted before must not look as if it came at once.
 */
function since(before: number, now: number): number {
  return now >= before ? now - before : Math.min(now, before - now);
}
