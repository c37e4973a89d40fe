/**
 * What was learned of a model's run times, kept in the queue for the next worker with such a device, so
 * that it need not learn anew. Of use, not needed: a queue that is away costs a second at the start.
 */
import { createHash } from 'node:crypto';
import type { ClassId, ProviderKind } from '@inferry/contracts';
import type { JobQueue } from '@inferry/queue';
import type { Clock } from '@inferry/runtime';
import { type LatencyModel, type LatencySnapshot, parseLatencySnapshot } from '@inferry/scheduling';
import type { LoadedModel } from './load-models.ts';
import { within } from './within.ts';

export interface StoredProfilesDeps {
  readonly queue: Pick<JobQueue, 'loadProfile' | 'saveProfile'>;
  readonly clock: Clock;
  /** What computes in this process, such as the name of its processor. */
  readonly hardware: string;
}

/** The wait for stored profiles at the start, for all models together. */
const loadMsMax = 1_000;

/** What the run times of a model depend on, beside the hardware. */
export interface ProfiledModel extends Pick<LoadedModel, 'manifest'> {
  readonly provider: ProviderKind;
  /** Sessions in a worker. */
  readonly instances: number;
  /** What is run was prepared in the same thread, and counts. */
  readonly isPreparedHere: boolean;
}

interface Kept {
  readonly key: string;
  readonly latency: Pick<LatencyModel, 'snapshot'>;
  /** As it was last saved; null before. */
  text: string | null;
}

export class StoredProfiles {
  readonly #deps: StoredProfilesDeps;
  readonly #kept = new Map<ClassId, Kept>();

  constructor(deps: StoredProfilesDeps) {
    this.#deps = deps;
  }

  /** What is stored of these models; a model of which nothing is, or that cannot be read, is left out. */
  async load(models: readonly LoadedModel[]): Promise<ReadonlyMap<ClassId, LatencySnapshot>> {
    const { clock, hardware, queue } = this.#deps;
    const found = new Map<ClassId, LatencySnapshot>();
    const loading = models.map(async (model) => {
      const text = await queue.loadProfile(profileKey(profiled(model), hardware));
      const snapshot = text === null ? null : parseLatencySnapshot(text);
      if (snapshot !== null) found.set(model.cls, snapshot);
    });
    await within(clock, loadMsMax, Promise.allSettled(loading));
    // What arrives later is for nobody.
    return new Map(found);
  }

  /** What `latency` learns is saved from now on, and what was kept of the class before no more. */
  keep(model: LoadedModel, latency: Kept['latency']): void {
    const key = profileKey(profiled(model), this.#deps.hardware);
    this.#kept.set(model.cls, { key, latency, text: null });
  }

  /** Saves what was learned of the class for the last time; throws when the queue could not be reached. */
  async release(cls: ClassId): Promise<void> {
    const kept = this.#kept.get(cls);
    this.#kept.delete(cls);
    if (kept !== undefined) await this.#save(kept);
  }

  /** Saves what has changed; throws when the queue could not be reached. */
  async save(): Promise<void> {
    await Promise.all([...this.#kept.values()].map((kept) => this.#save(kept)));
  }

  async #save(kept: Kept): Promise<void> {
    const snapshot = kept.latency.snapshot();
    if (snapshot.sizes.length === 0) return;
    const text = JSON.stringify(snapshot);
    if (text === kept.text) return;
    await this.#deps.queue.saveProfile(kept.key, text);
    kept.text = text;
  }
}

function profiled({ instances, manifest }: LoadedModel): ProfiledModel {
  return {
    manifest,
    provider: instances[0]?.provider ?? 'cpu',
    instances: instances.length,
    isPreparedHere: instances.every((instance) => instance.preparer !== null),
  };
}

/** The same for all workers whose runs of the model take the same time. */
export function profileKey(
  { instances, isPreparedHere, manifest, provider }: ProfiledModel,
  hardware: string,
): string {
  const { graphOptimization, intraOpThreads } = manifest.session;
  const session = [instances, graphOptimization, intraOpThreads];
  return createHash('sha256')
    .update(JSON.stringify([manifest.digest, provider, hardware, ...session, isPreparedHere]))
    .digest('hex');
}
