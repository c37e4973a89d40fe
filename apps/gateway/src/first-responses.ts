/**
 * How long callers of this gateway waited for the first response to their requests: a part of the answer, or the
 * answer, also one that tells a failed job. Refusals are none. Kept where Triton's names of metrics are told.
 */
import { type ClassId, classOf, type ModelManifest, partsOf } from '@inferry/contracts';
import type { ModelCatalogue } from '@inferry/models';

/** Triton's, in ms. */
const usualBucketsMs: readonly number[] = [100, 500, 2_000, 5_000];

export interface FirstResponseTimes {
  readonly manifest: ModelManifest;
  /** Upper bounds in ms, increasing; the last bucket has none. */
  readonly bucketsMs: readonly number[];
  /** By bucket, one more than there are bounds. */
  readonly counts: readonly number[];
  readonly sumMs: number;
}

interface Series {
  readonly bucketsMs: readonly number[];
  readonly counts: number[];
  sumMs: number;
}

export class FirstResponses {
  readonly #catalogue: Pick<ModelCatalogue, 'get' | 'list'>;
  readonly #series = new Map<ClassId, Series>();

  constructor(catalogue: Pick<ModelCatalogue, 'get' | 'list'>) {
    this.#catalogue = catalogue;
  }

  /** To be called with each response to a request for the class: the first call observes, the others do nothing. */
  of(cls: ClassId, { elapsedMs }: { readonly elapsedMs: () => number }): () => void {
    let isFirst = true;
    return () => {
      if (isFirst) this.#observe(cls, elapsedMs());
      isFirst = false;
    };
  }

  /** Of every version that is known, also before its first response; a version that is known no more is dropped. */
  read(): readonly FirstResponseTimes[] {
    this.#dropUnknown();
    const versions = this.#catalogue.list().flatMap((model) => model.versions);
    return versions.map(({ manifest }) => ({ manifest, ...this.#seriesOf(manifest) }));
  }

  #observe(cls: ClassId, ms: number): void {
    const manifest = this.#manifestOf(cls);
    if (manifest === undefined) return;
    const series = this.#seriesOf(manifest);
    const found = series.bucketsMs.findIndex((bound) => ms <= bound);
    const bucket = found === -1 ? series.bucketsMs.length : found;
    series.counts[bucket] = (series.counts[bucket] ?? 0) + 1;
    series.sumMs += ms;
  }

  /** Begun anew where the model has other buckets now. */
  #seriesOf({ firstResponseBucketsMs, name, version }: ModelManifest): Series {
    const bucketsMs = firstResponseBucketsMs ?? usualBucketsMs;
    const cls = classOf(name, version);
    const known = this.#series.get(cls);
    if (known !== undefined && String(known.bucketsMs) === String(bucketsMs)) return known;
    // Also where nobody reads: versions come and go for as long as a process lives.
    if (known === undefined) this.#dropUnknown();
    const counts = Array.from({ length: bucketsMs.length + 1 }, () => 0);
    const series = { bucketsMs, counts, sumMs: 0 };
    this.#series.set(cls, series);
    return series;
  }

  #manifestOf(cls: ClassId): ModelManifest | undefined {
    const { model, version } = partsOf(cls);
    const versions = this.#catalogue.get(model)?.versions ?? [];
    return versions.find((one) => one.version === version)?.manifest;
  }

  #dropUnknown(): void {
    for (const cls of this.#series.keys()) {
      if (this.#manifestOf(cls) === undefined) this.#series.delete(cls);
    }
  }
}
