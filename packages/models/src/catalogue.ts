/**
 * Every model that requests may name: those of the local repository and those that workers announce.
 * A gateway without a repository knows models from announcements only, and keeps what it learnt, so
 * that jobs are still accepted while the workers restart.
 */
import {
  type ControlOrder,
  defaultLabel,
  type Failure,
  isComposed,
  type ModelManifest,
  type ModelRouting,
  type TrafficShare,
  type WorkerAnnouncement,
} from '@inferry/contracts';
import { err, ok, type Random, type Result } from '@inferry/runtime';
import { AnnouncedVersions, type Holding, keyOf } from './announced-versions.ts';
import type { Repository, RepositoryProblem } from './load-repository.ts';
import { defaultVersion, settledVersion } from './switch-version.ts';
import { compareVersions, modelNotFound, modelUnloaded, versionNotFound } from './versions.ts';

/**
 * `ready`: a live worker has it ready. `loading`: one is about to. `failed`: it could not be loaded, and no
 * worker has it or tries. `unavailable`: no live worker speaks of it; jobs are accepted and wait. Of the others
 * none is accepted any more: `retiring`: what waits is still served, then it is dropped. `unloaded`: its model
 * was, by an order.
 */
export type ServingState = 'ready' | 'loading' | 'failed' | 'unavailable' | 'retiring' | 'unloaded';

export interface CatalogueVersion {
  readonly version: string;
  readonly manifest: ModelManifest;
  readonly state: ServingState;
  /** Live workers that have this version ready. */
  readonly readyWorkers: number;
  /** Why live workers could not load it, also where others could; null where none failed. */
  readonly failure: string | null;
}

export interface CatalogueModel {
  readonly name: string;
  /** From the oldest to the latest. Never empty. */
  readonly versions: readonly CatalogueVersion[];
  /** What a request that names no version gets, where no traffic is shared out. */
  readonly defaultVersion: string;
  /** Those of the default version. */
  readonly state: ServingState;
  readonly readyWorkers: number;
  /** The version that each label stands for now: a new one is taken up once it is ready. */
  readonly labels: Readonly<Record<string, string>>;
  /** Where requests that name no version go now. Never empty. */
  readonly shares: readonly TrafficShare[];
}

type LocalModels = Pick<Repository, 'models' | 'routing'> & Partial<Pick<Repository, 'problems'>>;

export class ModelCatalogue {
  #local: LocalModels = { models: [], routing: {} };
  /** By model, from the oldest. */
  #localVersions: ReadonlyMap<string, readonly string[]> = new Map();
  readonly #announced = new AnnouncedVersions();
  #unloaded: ReadonlySet<string> = new Set();
  #models: ReadonlyMap<string, CatalogueModel> = new Map();

  /** Its word on labels and traffic is preferred to what workers announce, and so is its latest version. */
  replaceLocal(repository: LocalModels): void {
    this.#local = repository;
    const versions = new Map<string, string[]>();
    for (const { name, version } of repository.models) {
      versions.set(name, [...(versions.get(name) ?? []), version].toSorted(compareVersions));
    }
    this.#localVersions = versions;
    this.#rebuild();
  }

  /**
   * All live workers; one that is missing here is gone. `orders` are those that stand, not older than the
   * announcements.
   */
  replaceAnnounced(
    workers: readonly WorkerAnnouncement[],
    orders: readonly ControlOrder[] = [],
  ): void {
    const unloads = orders.filter(({ want }) => want === 'unloaded');
    this.#unloaded = new Set(unloads.map(({ model }) => model));
    this.#announced.update(workers, this.#unloaded);
    this.#rebuild();
  }

  /**
   * The manifest of a version, or of a label's; of the default version where none is named. Fails with
   * `model_not_found`, `model_version_not_found`, or `model_unavailable` where the model was unloaded; a model
   * that no worker serves at present is still found.
   */
  resolve(name: string, version?: string): Result<ModelManifest, Failure> {
    const model = this.#models.get(name);
    const there = model?.versions.filter(mayBeRequested) ?? [];
    if (model === undefined || there.length === 0) {
      if (model !== undefined || this.#unloaded.has(name)) return err(modelUnloaded(name));
      return err(modelNotFound(name, this.#requestable()));
    }
    const wanted = version ?? model.defaultVersion;
    const labeled = Object.hasOwn(model.labels, wanted) ? model.labels[wanted] : undefined;
    const found =
      there.find((one) => one.version === wanted) ?? there.find((one) => one.version === labeled);
    if (found !== undefined) return ok(found.manifest);
    const versions = there.map((one) => one.version);
    return err(versionNotFound(name, wanted, [...Object.keys(model.labels), ...versions]));
  }

  /**
   * The manifest to pin a job to: as {@link resolve}, but where no version is named, the shares of traffic
   * decide, anew with each call.
   */
  choose(
    name: string,
    version: string | undefined,
    random: Pick<Random, 'unit'>,
  ): Result<ModelManifest, Failure> {
    const shares = this.#models.get(name)?.shares ?? [];
    return this.resolve(name, version ?? drawn(shares, random));
  }

  /**
   * A number that rises whenever the content that live workers run as a version changes, also back to what it
   * was before. Undefined while they differ, and before the first of them is known: then nobody can say of which
   * content an answer is.
   */
  contentOf(version: Pick<ModelManifest, 'name' | 'version'>): number | undefined {
    return this.#announced.contentOf(keyOf(version));
  }

  /**
   * A version that is retiring, but for an unload; the latest such where none is named. No request gets it: it is for
   * models that run it and are to retire as well, so that their jobs end as they began.
   */
  retiring(name: string, version?: string): ModelManifest | undefined {
    if (this.#unloaded.has(name)) return undefined;
    const leaving = this.get(name)?.versions.filter(({ state }) => state === 'retiring') ?? [];
    return leaving.findLast((one) => version === undefined || one.version === version)?.manifest;
  }

  /** By name. */
  list(): readonly CatalogueModel[] {
    return [...this.#models.values()];
  }

  get(name: string): CatalogueModel | undefined {
    return this.#models.get(name);
  }

  /** What of the local repository cannot be read, and so is not known here, or as it was before. */
  problems(): readonly RepositoryProblem[] {
    return this.#local.problems ?? [];
  }

  #requestable(): string[] {
    const there = this.list().filter(({ versions }) => versions.some(mayBeRequested));
    return there.map(({ name }) => name);
  }

  #rebuild(): void {
    const manifests = new Map(this.#announced.manifests());
    for (const manifest of this.#local.models) manifests.set(keyOf(manifest), manifest);
    const versions = new Map<string, CatalogueVersion[]>();
    for (const [key, known] of manifests) {
      const manifest = this.#announced.readyManifest(key) ?? known;
      const list = versions.get(manifest.name) ?? [];
      const isUnloaded = this.#unloaded.has(manifest.name);
      list.push(versionOf(manifest, this.#announced.holdingsOf(key), isUnloaded));
      versions.set(manifest.name, list);
    }
    const names = [...versions.keys()].toSorted();
    this.#models = new Map(
      names.map((name) => [name, this.#model(name, versions.get(name) ?? [])]),
    );
  }

  #model(name: string, unsorted: readonly CatalogueVersion[]): CatalogueModel {
    const versions = unsorted.toSorted((a, b) => compareVersions(a.version, b.version));
    const there = versions.filter(mayBeRequested);
    const routing = this.#routingOf(name);
    const before = this.#models.get(name);
    const view = {
      versions: there,
      isAwaited: (version: string) => this.#isAwaited(name, version, there),
      hasFailed: (version: string) =>
        there.some((one) => one.version === version && this.#announced.hasFailed(one.manifest)),
    };
    const known = (version: string | undefined) =>
      there.some((one) => one.version === version) ? version : undefined;
    const labels: Record<string, string> = {};
    for (const [label, version] of Object.entries(routing.labels)) {
      const taken = before !== undefined && Object.hasOwn(before.labels, label);
      const settled = settledVersion({
        ...view,
        wanted: known(version),
        before: taken ? before.labels[label] : undefined,
      });
      if (settled !== undefined) labels[label] = settled;
    }
    const taken =
      defaultVersion({
        ...view,
        wanted: known(this.#wantedDefault(name, routing, there)),
        before: before?.defaultVersion,
      }) ??
      versions.at(-1)?.version ??
      '';
    const current = versions.find(({ version }) => version === taken);
    const shares = routing.traffic.filter(({ version }) =>
      there.some((one) => one.version === version && one.state === 'ready'),
    );
    return {
      name,
      versions,
      defaultVersion: taken,
      state: current?.state ?? 'unavailable',
      readyWorkers: current?.readyWorkers ?? 0,
      labels,
      shares: shares.length === 0 ? [{ version: taken, weight: 1 }] : shares,
    };
  }

  #routingOf(name: string): ModelRouting {
    const nothingSet: ModelRouting = { labels: {}, traffic: [] };
    const { routing } = this.#local;
    if (Object.hasOwn(routing, name)) return routing[name] ?? nothingSet;
    return this.#localVersions.has(name) ? nothingSet : this.#announced.routingOf(name);
  }

  /** The stable version, else the latest of the repository, else the latest that workers have. */
  #wantedDefault(
    name: string,
    { labels }: ModelRouting,
    there: readonly RequestableVersion[],
  ): string | undefined {
    const stable = Object.hasOwn(labels, defaultLabel) ? labels[defaultLabel] : undefined;
    if (stable !== undefined) return stable;
    const local = this.#localVersions.get(name);
    if (local !== undefined) return local.at(-1);
    const announced = there.findLast(({ state }) => state !== 'unavailable');
    return (announced ?? there.at(-1))?.version;
  }

  /** See {@link SwitchView}. */
  #isAwaited(name: string, version: string, there: readonly RequestableVersion[]): boolean {
    const at = (one: string): readonly Holding[] =>
      this.#announced.holdingsOf(keyOf({ name, version: one }));
    const states = new Map(at(version).map(({ served, workerId }) => [workerId, served.state]));
    const manifest = there.find((one) => one.version === version)?.manifest;
    return there
      .filter((one) => one.version !== version)
      .flatMap((one) => at(one.version))
      .filter(({ served }) => served.state === 'ready')
      .some(({ served, workerId }) => {
        const state =
          states.get(workerId) ?? (mayLoad(served.device, manifest) ? 'loading' : 'none');
        return state === 'loading';
      });
  }
}

type RequestableVersion = CatalogueVersion & {
  readonly state: Exclude<ServingState, 'retiring' | 'unloaded'>;
};

/** New jobs are accepted for it. */
export function mayBeRequested(version: CatalogueVersion): version is RequestableVersion {
  return version.state !== 'retiring' && version.state !== 'unloaded';
}

function versionOf(
  manifest: ModelManifest,
  holdings: readonly Holding[],
  isUnloaded: boolean,
): CatalogueVersion {
  const readyWorkers = holdings.filter(({ served }) => served.state === 'ready').length;
  const told = (['ready', 'loading', 'failed', 'retiring'] as const).find((state) =>
    holdings.some(({ served }) => served.state === state),
  );
  const state = told ?? (isUnloaded ? 'unloaded' : 'unavailable');
  const failures = holdings.filter(({ served }) => served.state === 'failed');
  const reasons = new Set(failures.map(({ served }) => served.reason ?? 'it gave no reason'));
  const failure = reasons.size === 0 ? null : [...reasons].slice(0, reasonsMax).join('; ');
  return { version: manifest.version, manifest, state, readyWorkers, failure };
}

/** Workers on that device, `cpu` or `cuda:1`, have instances of it, or run it without any. */
function mayLoad(device: string, manifest: ModelManifest | undefined): boolean {
  if (manifest === undefined || isComposed(manifest)) return true;
  const [kind, index] = device.split(':');
  return manifest.instances.some(
    (group) =>
      (group.kind === 'cpu') === (kind === 'cpu') && (group.gpus?.includes(Number(index)) ?? true),
  );
}

/** Workers that fail differently are told of one by one, up to so many. */
const reasonsMax = 3;

function drawn(shares: readonly TrafficShare[], random: Pick<Random, 'unit'>): string | undefined {
  if (shares.length <= 1) return shares[0]?.version;
  const sum = shares.reduce((total, { weight }) => total + weight, 0);
  let left = random.unit() * sum;
  for (const { version, weight } of shares) {
    left -= weight;
    if (left < 0) return version;
  }
  return shares.at(-1)?.version;
}
