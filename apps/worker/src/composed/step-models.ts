/**
 * The models that steps may name, as a gateway knows its models: from the repository of this worker, and from what
 * all workers announce. The version of a step is therefore that of a request.
 */
import type { Failure, ModelManifest, ModelRouting } from '@inferry/contracts';
import { ModelCatalogue } from '@inferry/models';
import type { JobQueue } from '@inferry/queue';
import { invariant, ok, type Random, type Result } from '@inferry/runtime';

/** What a worker is given of its repository. */
export interface LocalModels {
  readonly manifests: readonly ModelManifest[];
  readonly routing: Readonly<Record<string, ModelRouting>>;
}

/** As a step may name them, the best first; null for the one that a request without a version gets. Never empty. */
export type StepVersions = readonly (string | null)[];

export interface StepModelsDeps {
  readonly queue: Pick<JobQueue, 'orders' | 'workers'>;
  readonly random: Random;
}

export class StepModels {
  readonly #catalogue = new ModelCatalogue();
  readonly #deps: StepModelsDeps;

  constructor(deps: StepModelsDeps) {
    this.#deps = deps;
  }

  replaceLocal({ manifests, routing }: LocalModels): void {
    this.#catalogue.replaceLocal({ models: manifests, routing });
  }

  /** Looks at what workers announce; throws when the queue cannot be reached. */
  async refresh(): Promise<void> {
    const { queue } = this.#deps;
    const workers = await queue.workers();
    this.#catalogue.replaceAnnounced(workers, await queue.orders());
  }

  /**
   * For one step: the first of these versions that a request would get, else the first that is retiring. Errors:
   * those of a request that names the last.
   */
  resolve(model: string, versions: StepVersions): Result<ModelManifest, Failure> {
    let chosen: Result<ModelManifest, Failure> | undefined;
    for (const version of versions) {
      chosen = this.#catalogue.choose(model, version ?? undefined, this.#deps.random);
      if (chosen.ok) return chosen;
    }
    for (const version of versions) {
      const retiring = this.#catalogue.retiring(model, version ?? undefined);
      if (retiring !== undefined) return ok(retiring);
    }
    invariant(chosen !== undefined, 'a step has a version, or that of requests without one');
    return chosen;
  }
}
