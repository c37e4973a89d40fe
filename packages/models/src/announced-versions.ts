/**
 * What workers said of the versions that they have, and which of it is kept when they say no more. A worker
 * that is gone takes nothing back: another one is expected, and jobs are accepted meanwhile. A worker that
 * lives and has a version no more was told to drop it.
 */
import type {
  ModelManifest,
  ModelRouting,
  ServedModel,
  WorkerAnnouncement,
} from '@inferry/contracts';

/** Announced versions kept after their last worker is gone; the longest gone are forgotten first. */
const rememberedVersionsMax = 1_000;

/** One version at one live worker. */
export interface Holding {
  readonly workerId: string;
  readonly served: ServedModel;
}

interface Remembered {
  readonly manifest: ModelManifest;
  /** Live workers that have had it since this gateway knows them. */
  readonly hadBy: Set<string>;
}

interface Ready {
  readonly digest: string;
  /** Of the update in which it was first seen so. */
  readonly turn: number;
}

/** What the live workers that run a version have as its content. */
interface Content {
  /** Undefined where they differ. */
  readonly digest: string | undefined;
  /** Of the update since which it is so. */
  readonly turn: number;
}

const nothingSet: ModelRouting = { labels: {}, traffic: [] };

export class AnnouncedVersions {
  /** By name and version, in the order of their last announcement. */
  readonly #remembered = new Map<string, Remembered>();
  #holdings: ReadonlyMap<string, readonly Holding[]> = new Map();
  /** By version and worker. */
  #ready: ReadonlyMap<string, Ready> = new Map();
  /** By version, the digest that no worker could load when it was last heard of. */
  readonly #failed = new Map<string, string>();
  #turn = 0;
  readonly #contents = new Map<string, Content>();
  #routing = new Map<string, ModelRouting>();

  /**
   * All live workers; one that is missing here is gone. Versions of the models in `unloaded` are remembered
   * although their workers dropped them, so that they can be shown and loaded again.
   */
  update(workers: readonly WorkerAnnouncement[], unloaded: ReadonlySet<string>): void {
    this.#turn += 1;
    const speakers = workers.toSorted(byStart);
    this.#remember(speakers, unloaded);
    this.#holdings = holdingsOf(speakers);
    const ready = new Map<string, Ready>();
    for (const [key, holdings] of this.#holdings) {
      for (const { served, workerId } of holdings) {
        if (served.state !== 'ready') continue;
        const { digest } = served.manifest;
        const id = `${workerId} ${key}`;
        const before = this.#ready.get(id);
        ready.set(id, before?.digest === digest ? before : { digest, turn: this.#turn });
      }
    }
    this.#ready = ready;
    this.#learnContents();
    this.#learnFailures();
    this.#learnRouting(speakers);
  }

  /** Every version that is remembered, or about to be dropped; by key. */
  manifests(): ReadonlyMap<string, ModelManifest> {
    const leaving = [...this.#holdings].flatMap(([key, holdings]) => {
      const last = holdings.at(-1);
      return last === undefined ? [] : [[key, last.served.manifest] as const];
    });
    const kept = [...this.#remembered].map(([key, { manifest }]) => [key, manifest] as const);
    return new Map([...leaving, ...kept]);
  }

  /** At live workers that do not drain, from the one that started first. */
  holdingsOf(key: string): readonly Holding[] {
    return this.#holdings.get(key) ?? [];
  }

  /** As the worker says that had it ready last; undefined where none has. */
  readyManifest(key: string): ModelManifest | undefined {
    let latest: { readonly turn: number; readonly manifest: ModelManifest } | undefined;
    for (const { served, workerId } of this.holdingsOf(key)) {
      const turn = this.#ready.get(`${workerId} ${key}`)?.turn;
      if (turn === undefined || served.state !== 'ready') continue;
      if (latest === undefined || turn >= latest.turn) latest = { turn, manifest: served.manifest };
    }
    return latest?.manifest;
  }

  /** See `contentOf` of the catalogue. */
  contentOf(key: string): number | undefined {
    const content = this.#contents.get(key);
    return content?.digest === undefined ? undefined : content.turn;
  }

  /** As the worker that started last says, of those that have the model, or had it when they went. */
  routingOf(name: string): ModelRouting {
    return this.#routing.get(name) ?? nothingSet;
  }

  /** The last that workers said of this content is that it cannot be loaded, also where they are gone or try again. */
  hasFailed(manifest: ModelManifest): boolean {
    return this.#failed.get(keyOf(manifest)) === manifest.digest;
  }

  #remember(speakers: readonly WorkerAnnouncement[], unloaded: ReadonlySet<string>): void {
    const live = new Set(speakers.map(({ workerId }) => workerId));
    const held = new Set<string>();
    for (const { models, workerId } of speakers) {
      for (const { manifest, state } of models) {
        if (state === 'retiring') continue;
        const key = keyOf(manifest);
        held.add(key);
        const hadBy = this.#remembered.get(key)?.hadBy ?? new Set();
        this.#remembered.delete(key);
        this.#remembered.set(key, { manifest, hadBy: hadBy.add(workerId) });
      }
    }
    for (const [key, { hadBy, manifest }] of this.#remembered) {
      for (const id of hadBy) if (!live.has(id)) hadBy.delete(id);
      const isDropped = !held.has(key) && hadBy.size > 0;
      if (isDropped && !unloaded.has(manifest.name)) this.#remembered.delete(key);
    }
    // The held ones were moved to the end, so the first keys are those that are gone for longest.
    const excess = Math.max(0, this.#remembered.size - held.size - rememberedVersionsMax);
    for (const key of [...this.#remembered.keys()].slice(0, excess)) this.#remembered.delete(key);
  }

  /** What was last run stays known where no worker is left. */
  #learnContents(): void {
    for (const [key, holdings] of this.#holdings) {
      const running = holdings.filter(
        ({ served }) => served.state === 'ready' || served.state === 'retiring',
      );
      const digests = new Set(running.map(({ served }) => served.manifest.digest));
      if (digests.size === 0) continue;
      const digest = digests.size === 1 ? [...digests][0] : undefined;
      const before = this.#contents.get(key);
      if (before === undefined || before.digest !== digest) {
        this.#contents.set(key, { digest, turn: this.#turn });
      }
    }
    for (const key of this.#contents.keys()) {
      if (!this.#remembered.has(key) && !this.#holdings.has(key)) this.#contents.delete(key);
    }
  }

  #learnFailures(): void {
    for (const [key, holdings] of this.#holdings) {
      const isReady = holdings.some(({ served }) => served.state === 'ready');
      const failed = holdings.findLast(({ served }) => served.state === 'failed');
      if (isReady) this.#failed.delete(key);
      else if (failed !== undefined) this.#failed.set(key, failed.served.manifest.digest);
    }
    for (const key of this.#failed.keys()) {
      if (!this.#remembered.has(key)) this.#failed.delete(key);
    }
  }

  #learnRouting(speakers: readonly WorkerAnnouncement[]): void {
    for (const { models, routing, state } of speakers) {
      if (routing === undefined || state === 'draining') continue;
      for (const { manifest } of models) {
        const { name } = manifest;
        const said = Object.hasOwn(routing, name) ? routing[name] : undefined;
        this.#routing.set(name, said ?? nothingSet);
      }
    }
    const names = new Set([...this.#remembered.values()].map(({ manifest }) => manifest.name));
    for (const name of this.#routing.keys()) if (!names.has(name)) this.#routing.delete(name);
  }
}

/** A model's name holds no `@`. */
export function keyOf(manifest: Pick<ModelManifest, 'name' | 'version'>): string {
  return `${manifest.name}@${manifest.version}`;
}

/** A draining worker claims nothing any more, so it does not count. */
function holdingsOf(speakers: readonly WorkerAnnouncement[]): Map<string, Holding[]> {
  const holdings = new Map<string, Holding[]>();
  for (const { models, state, workerId } of speakers) {
    if (state === 'draining') continue;
    for (const served of models) {
      const key = keyOf(served.manifest);
      const list = holdings.get(key) ?? [];
      list.push({ workerId, served });
      holdings.set(key, list);
    }
  }
  return holdings;
}

/** The worker that started last speaks last, whatever the order of the list. */
function byStart(a: WorkerAnnouncement, b: WorkerAnnouncement): number {
  return a.startedAtMs - b.startedAtMs || (a.workerId < b.workerId ? -1 : 1);
}
