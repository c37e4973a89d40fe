/**
 * The models that steps may name, as a gateway knows its models: from the repository of this worker, and from what
 * all workers announce. The version of a step is therefore that of a request.
 */
import type { Failure, ModelManifest, ModelRouting } from '@inferry/contracts';
import { ModelCatalogue } from '@inferry/models';
import type { JobQueue } from '@inferry/queue';
import type { Random, Result } from '@inferry/runtime';

/** What a worker is given of its repository. */
export interface LocalModels {
  readonly manifests: readonly ModelManifest[];
  readonly routing: Readonly<Record<string, ModelRouting>>;
}

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

  /** For one step. Errors: those of a request that names the model so. */
  resolve(model: string, version: string | null): Result<ModelManifest, Failure> {
    return this.#catalogue.choose(model, version ?? undefined, this.#deps.random);
  }
}
