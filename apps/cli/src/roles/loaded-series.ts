/**
 * The series of what a worker has loaded: they go when the last version of their model does. What is counted by
 * version stays for a while, for a scrape to see how it ended.
 */
import { classOf } from '@inferry/contracts';
import type { WorkerTelemetry } from '@inferry/worker';
import type { WorkerMetrics } from '@inferry/telemetry';

type Ran = NonNullable<Parameters<WorkerTelemetry['modelLoaded']>[2]>;
type Prepared = Parameters<WorkerMetrics['preparation']['set']>[0];
type Series = 'declareModel' | 'executionProvider' | 'forgetQueue' | 'modelLoaded' | 'preparation';

/** Versions that are gone and still told of; the longest gone are forgotten first. */
const formerMax = 50;

export class LoadedSeries {
  readonly #metrics: Pick<WorkerMetrics, Series>;
  /** By model, then by version: what its instances run on. */
  readonly #ran = new Map<string, Map<string, readonly Ran[]>>();
  readonly #prepared = new Map<string, readonly Prepared[]>();

  readonly #former = new Set<string>();

  constructor(metrics: Pick<WorkerMetrics, Series>) {
    this.#metrics = metrics;
  }

  declare(model: string, cls: string): void {
    this.#former.delete(cls);
    this.#metrics.declareModel(model, cls);
  }

  add(model: string, version: string, ran: Ran | null): void {
    this.#metrics.modelLoaded.set({ model, version }, 1);
    if (ran === null) return;
    const versions = this.#ran.get(model) ?? new Map<string, readonly Ran[]>();
    this.#ran.set(model, versions);
    versions.set(version, including(versions.get(version) ?? [], ran));
    this.#metrics.executionProvider.set({ model, ...ran }, 1);
  }

  prepare(prepared: Prepared): void {
    const { model } = prepared;
    this.#prepared.set(model, including(this.#prepared.get(model) ?? [], prepared));
    this.#metrics.preparation.set(prepared, 1);
  }

  remove(model: string, version: string): void {
    const versions = this.#ran.get(model);
    const gone = versions?.get(version) ?? [];
    versions?.delete(version);
    this.#metrics.modelLoaded.remove({ model, version });
    this.#former.add(classOf(model, version));
    for (const cls of [...this.#former].slice(0, Math.max(0, this.#former.size - formerMax))) {
      this.#former.delete(cls);
      this.#metrics.forgetQueue(cls);
    }
    const left = [...(versions?.values() ?? [])].flat();
    for (const ran of gone) {
      if (!left.some(like(ran))) this.#metrics.executionProvider.remove({ model, ...ran });
    }
    if (left.length > 0) return;
    this.#ran.delete(model);
    for (const one of this.#prepared.get(model) ?? []) this.#metrics.preparation.remove(one);
    this.#prepared.delete(model);
  }
}

function including<T>(known: readonly T[], one: T): readonly T[] {
  return known.some(like(one)) ? known : [...known, one];
}

function like(one: unknown): (other: unknown) => boolean {
  const text = JSON.stringify(one);
  return (other) => JSON.stringify(other) === text;
}
