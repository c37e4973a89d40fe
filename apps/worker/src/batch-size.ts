/**
 * How large the batches of one lane are: what runs take, learned from the warm-up on, the cap that follows
 * from it, and who is told when it changes.
 */
import type { ClassId, ModelManifest } from '@inferry/contracts';
import {
  answerMs,
  BatchLimit,
  type BatchLimitChange,
  LatencyModel,
  type LatencySnapshot,
  type RunSample,
} from '@inferry/scheduling';
import type { Logger } from '@inferry/telemetry';
import type { LoadedModel } from './load-models.ts';
import type { WorkerTelemetry } from './telemetry.ts';

/** What a batch costs beside its run: a claim and a settlement, two exchanges with the queue of about 1 ms each. */
export const overheadMs = 2;

export interface BatchSizeDeps {
  /** Runs of the class at a time in this worker, at least 1; fewer when more classes share it. */
  readonly runs: () => number;
  readonly telemetry: Pick<WorkerTelemetry, 'batchLimited'>;
  readonly logger: Logger;
  /** What another worker learned on such a device; null when nothing is known of it. */
  readonly stored: LatencySnapshot | null;
  /** Batches have another size from now on. */
  readonly onChange: () => void;
}

export class BatchSize {
  readonly latency: LatencyModel;
  readonly #cls: ClassId;
  readonly #manifest: ModelManifest;
  #servers: number;
  readonly #deps: BatchSizeDeps;
  readonly #limit: BatchLimit;
  #hasSaidInfeasible = false;

  /** `rowsMax`: most rows that jobs may have together. Warns when the latency target cannot be kept. */
  constructor(loaded: LoadedModel, rowsMax: number, deps: BatchSizeDeps) {
    const { cls, instances, manifest, warmupRuns } = loaded;
    this.#cls = cls;
    this.#manifest = manifest;
    // Other workers are known from the first claim on; fewer servers than there are make a smaller batch.
    this.#servers = deps.runs();
    this.#deps = deps;
    const { stored } = deps;
    this.latency = stored === null ? new LatencyModel() : LatencyModel.seeded(stored);
    // Where something is stored they verify it: what contradicts them is forgotten.
    for (const { ms, rows } of warmupRuns) {
      this.latency.record({ rows, durationMs: ms, isFirst: false, idleMs: 0 });
    }
    this.#limit = new BatchLimit(this.latency, {
      rowsMax,
      latencyTargetMs: manifest.latencyTargetMs,
      servers: this.#servers,
      overheadMs,
      seeksKnee: instances.some((instance) => instance.provider === 'cpu'),
    });
    this.#tell();
    const start = { stored_sizes: stored?.sizes.length ?? 0, rows: this.rowsMax };
    const source = stored === null ? 'the warm-up' : 'a stored profile and the warm-up';
    deps.logger.info({ class: cls, ...start }, `the size of batches begins from ${source}`);
  }

  /** Most rows of a batch now. */
  get rowsMax(): number {
    return this.#limit.cap.rows;
  }

  /** Most rows of the next claim; another number than {@link rowsMax} now and then, to measure it. */
  rowsToClaim(): number {
    return this.#limit.rowsToClaim();
  }

  /**
   * To be told of every claim that took something: its rows, the jobs it left waiting, and the workers that
   * serve the class, which are taken to be like this one.
   */
  claimed(rows: number, waiting: number, workers: number): void {
    this.#servers = this.#deps.runs() * Math.max(1, workers);
    this.#limit.serve(this.#servers);
    this.#limit.claimed(rows, waiting);
  }

  /** To be told of every run that succeeded; returns what it took by what was expected, if anything was. */
  ran(sample: RunSample): number | null {
    const ratio = this.latency.record(sample);
    const change = this.#limit.ran();
    if (change !== null) {
      this.#tell();
      this.#logChange(change);
      this.#deps.onChange();
    }
    return ratio;
  }

  #tell(): void {
    const { cap } = this.#limit;
    this.#deps.telemetry.batchLimited(this.#manifest.name, cap.rows);
    if (cap.isFeasible || this.#hasSaidInfeasible) return;
    this.#hasSaidInfeasible = true;
    const servers = this.#servers;
    const targetMs = this.#manifest.latencyTargetMs;
    const runMs = round(this.latency.tailMs(1) ?? 0);
    const neededMs = round(answerMs(this.latency, { overheadMs, servers }, 1) ?? 0);
    const sum = `${runMs} ms * (1 + 1/${servers}) + ${overheadMs} ms = ${neededMs} ms`;
    this.#deps.logger.warn(
      { class: this.#cls, code: 'TARGET_INFEASIBLE', target_ms: targetMs, needed_ms: neededMs },
      `TARGET_INFEASIBLE: one row waits for a run and runs, ${sum}, and latency_target_ms is ${targetMs}; batches of up to ${cap.rows} rows, for throughput`,
    );
  }

  #logChange({ from, to }: BatchLimitChange): void {
    if (Math.abs(to.rows - from.rows) <= 1) return;
    const rows = { from_rows: from.rows, to_rows: to.rows };
    this.#deps.logger.info({ class: this.#cls, ...rows }, 'batches have another size from now on');
  }
}

function round(ms: number): number {
  return Math.round(ms * 10) / 10;
}
