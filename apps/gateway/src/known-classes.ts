/**
 * The classes that a gateway looks after: those of its catalogue, and those of versions that it has no more, for as
 * long as jobs are left in them. Such a job ends by its deadline at the latest, but only where somebody sweeps.
 */
import { type ClassId, classOf, type ModelManifest } from '@inferry/contracts';
import type { ModelCatalogue } from '@inferry/models';
import type { Clock } from '@inferry/runtime';

interface Left {
  readonly manifest: ModelManifest;
  /** When the catalogue was found without it. */
  readonly sinceMs: number;
}

/** Of classes that left the catalogue; the longest gone are let go first. */
const leftMax = 1_000;
/** A request that was being accepted then is in its class by now. */
const keptMsMin = 60_000;

export class KnownClasses {
  readonly #deps: { readonly catalogue: ModelCatalogue; readonly clock: Clock };
  #present: ReadonlyMap<ClassId, ModelManifest> = new Map();
  readonly #left = new Map<ClassId, Left>();

  constructor(deps: { readonly catalogue: ModelCatalogue; readonly clock: Clock }) {
    this.#deps = deps;
  }

  /** As of now. */
  current(): ReadonlyMap<ClassId, ModelManifest> {
    const { catalogue, clock } = this.#deps;
    const manifests = catalogue.list().flatMap(({ versions }) => versions);
    const present = new Map(
      manifests.map(({ manifest }) => [classOf(manifest.name, manifest.version), manifest]),
    );
    const sinceMs = clock.nowMs();
    for (const [cls, manifest] of this.#present) {
      if (!present.has(cls)) this.#left.set(cls, { manifest, sinceMs });
    }
    this.#present = present;
    for (const cls of this.#left.keys()) {
      if (present.has(cls) || this.#left.size > leftMax) this.#left.delete(cls);
    }
    const left = [...this.#left].map(([cls, { manifest }]) => [cls, manifest] as const);
    return new Map([...present, ...left]);
  }

  /** Nothing waits in the class, and nothing of it is claimed. */
  sawEmpty(cls: ClassId): void {
    const left = this.#left.get(cls);
    if (left !== undefined && this.#deps.clock.nowMs() - left.sinceMs >= keptMsMin) {
      this.#left.delete(cls);
    }
  }
}
