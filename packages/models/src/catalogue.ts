/**
 * Every model that requests may name: those of the local repository and those that workers announce.
 * A gateway without a repository knows models from announcements only, and keeps what it learnt, so
 * that jobs are still accepted while the workers restart.
 */
import type { Failure, ModelManifest, ServedModel, WorkerAnnouncement } from '@inferry/contracts';
import { err, ok, type Result } from '@inferry/runtime';
import type { Repository } from './load-repository.ts';
import { compareVersions, latestVersion, modelNotFound, versionNotFound } from './versions.ts';

/**
 * `ready`: a live worker has it ready. `loading`: one is about to. `unavailable`: no live worker serves
 * it; jobs are accepted and wait.
 */
export type ServingState = 'ready' | 'loading' | 'unavailable';

export interface CatalogueVersion {
  readonly version: string;
  readonly manifest: ModelManifest;
  readonly state: ServingState;
  /** Live workers that have this version ready. */
  readonly readyWorkers: number;
}

export interface CatalogueModel {
  readonly name: string;
  /** From the oldest to the latest. Never empty. */
  readonly versions: readonly CatalogueVersion[];
  /** What a request that names no version gets. */
  readonly defaultVersion: string;
  /** Those of the default version. */
  readonly state: ServingState;
  readonly readyWorkers: number;
}

/** Announced versions kept after their last worker is gone; the longest gone are forgotten first. */
const rememberedVersionsMax = 1_000;

export class ModelCatalogue {
  #local: readonly ModelManifest[] = [];
  #workers: readonly WorkerAnnouncement[] = [];
  /** By name and version, in the order of their last announcement. */
  readonly #remembered = new Map<string, ModelManifest>();
  #models: ReadonlyMap<string, CatalogueModel> = new Map();

  /** The local repository's word on a model's manifest is preferred to what workers announce. */
  replaceLocal(repository: Repository): void {
    this.#local = repository.models;
    this.#rebuild();
  }

  /** All live workers; one that is missing here is gone. */
  replaceAnnounced(workers: readonly WorkerAnnouncement[]): void {
    this.#workers = workers;
    const live = new Set<string>();
    for (const { manifest } of workers.toSorted(byStart).flatMap(({ models }) => models)) {
      const key = keyOf(manifest);
      live.add(key);
      this.#remembered.delete(key);
      this.#remembered.set(key, manifest);
    }
    // The live ones were moved to the end, so the first keys are those that are gone for longest.
    const excess = Math.max(0, this.#remembered.size - live.size - rememberedVersionsMax);
    for (const key of [...this.#remembered.keys()].slice(0, excess)) this.#remembered.delete(key);
    this.#rebuild();
  }

  /**
   * The manifest to pin a job to. Fails with `model_not_found` or `model_version_not_found`; a model that
   * no worker serves at present is still found.
   */
  resolve(name: string, version?: string): Result<ModelManifest, Failure> {
    const model = this.#models.get(name);
    if (model === undefined) return err(modelNotFound(name, [...this.#models.keys()]));
    const wanted = version ?? model.defaultVersion;
    const found = model.versions.find((candidate) => candidate.version === wanted);
    if (found !== undefined) return ok(found.manifest);
    const there = model.versions.map((candidate) => candidate.version);
    return err(versionNotFound(name, wanted, there));
  }

  /** By name. */
  list(): readonly CatalogueModel[] {
    return [...this.#models.values()];
  }

  #rebuild(): void {
    const manifests = new Map(this.#remembered);
    for (const manifest of this.#local) manifests.set(keyOf(manifest), manifest);
    const served = servedByKey(this.#workers);
    const versions = new Map<string, CatalogueVersion[]>();
    for (const [key, manifest] of manifests) {
      const list = versions.get(manifest.name) ?? [];
      list.push(versionOf(manifest, served.get(key) ?? []));
      versions.set(manifest.name, list);
    }
    const names = [...versions.keys()].toSorted();
    this.#models = new Map(
      names.map((name) => [name, this.#model(name, versions.get(name) ?? [])]),
    );
  }

  #model(name: string, versions: readonly CatalogueVersion[]): CatalogueModel {
    const sorted = versions.toSorted((a, b) => compareVersions(a.version, b.version));
    const local = latestVersion(this.#local.filter((manifest) => manifest.name === name));
    const defaultVersion = local?.version ?? latestServed(sorted);
    const current = sorted.find(({ version }) => version === defaultVersion);
    return {
      name,
      versions: sorted,
      defaultVersion,
      state: current?.state ?? 'unavailable',
      readyWorkers: current?.readyWorkers ?? 0,
    };
  }
}

/**
 * Without a repository the workers decide: a new version becomes the default when one has it ready, and
 * one that was rolled back stops being it.
 */
function latestServed(versions: readonly CatalogueVersion[]): string {
  const latest =
    versions.findLast(({ state }) => state === 'ready') ??
    versions.findLast(({ state }) => state === 'loading') ??
    versions.at(-1);
  return latest?.version ?? '';
}

function versionOf(manifest: ModelManifest, served: readonly ServedModel[]): CatalogueVersion {
  const readyWorkers = served.filter(({ state }) => state === 'ready').length;
  const isLoading = served.some(({ state }) => state === 'loading');
  const state = readyWorkers > 0 ? 'ready' : isLoading ? 'loading' : 'unavailable';
  return { version: manifest.version, manifest, state, readyWorkers };
}

/** A draining worker claims nothing any more, so it does not count. */
function servedByKey(workers: readonly WorkerAnnouncement[]): Map<string, ServedModel[]> {
  const served = new Map<string, ServedModel[]>();
  for (const worker of workers) {
    if (worker.state === 'draining') continue;
    for (const model of worker.models) {
      const key = keyOf(model.manifest);
      const list = served.get(key) ?? [];
      list.push(model);
      served.set(key, list);
    }
  }
  return served;
}

/** The worker that started last speaks last, whatever the order of the list. */
function byStart(a: WorkerAnnouncement, b: WorkerAnnouncement): number {
  return a.startedAtMs - b.startedAtMs || (a.workerId < b.workerId ? -1 : 1);
}

/** A model's name holds no `@`. */
function keyOf(manifest: ModelManifest): string {
  return `${manifest.name}@${manifest.version}`;
}
