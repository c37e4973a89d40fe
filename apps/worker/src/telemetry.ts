/**
 * What a worker tells about itself while it works. The worker calls these where things happen; what
 * becomes of them (metrics, tests) is decided where the worker is made. Durations are in seconds,
 * `model` is a model's name.
 */
import type { ClassId, Priority, ProviderKind, TerminalStatus } from '@inferry/contracts';
import type { SweptJob } from '@inferry/queue';
import type { IsolationKind, ReleaseReason } from '@inferry/scheduling';
import type { WorkerState } from './lifecycle.ts';

/** Parts of a job's life, in order; of a job that succeeded they add up to the whole. */
export type WorkerStage =
  | 'admission'
  | 'queue_wait'
  | 'fetch'
  | 'preprocess'
  | 'batch_wait'
  | 'compute'
  | 'postprocess'
  | 'publish';

/** How a job ended; `invalid`: it failed because its input could not be used. */
type WorkerOutcome = TerminalStatus | 'invalid';

/** A new version; one with other content; one that could not be loaded; one that is gone. */
export type ReloadResult = 'loaded' | 'replaced' | 'failed' | 'retired';

export interface WorkerTelemetry {
  /** A model is known and may be named from now on; `rowsMax` is its largest batch. */
  modelDeclared(model: string, classId: string, rowsMax: number): void;
  modelLoadPhase(model: string, phase: 'session' | 'warmup', seconds: number): void;
  /** A version could not be loaded, and the worker does not start. */
  modelLoadFailed(model: string): void;
  /** `ran` is null of a composed model, which runs on nothing itself. */
  modelLoaded(
    model: string,
    version: string,
    ran: {
      readonly expected: ProviderKind;
      readonly provider: ProviderKind;
      readonly device: string;
    } | null,
  ): void;
  /** A version is loaded no longer. */
  modelUnloaded(model: string, version: string): void;
  /** What came of a change of a version while the worker served; see {@link ReloadResult}. */
  modelReloaded(model: string, result: ReloadResult): void;
  /** Where inputs of the model are prepared, and what decodes JPEG there: `libjpeg-turbo 2.1.5`; `none` without images. */
  preparation(model: string, where: 'compute' | 'threads' | 'main', jpegDecoder: string): void;
  state(state: WorkerState): void;
  /** The worker makes so many runs at a time. */
  slots(runs: number): void;

  jobStarted(model: string): void;
  /** A job was claimed after `distance` jobs of its class that arrived later. */
  overtaken(model: string, distance: number): void;
  /** A job starts again: its worker was lost, or it runs in a part of a batch that failed. */
  retried(model: string, reason: 'worker_lost' | 'isolation'): void;
  /** Jobs claimed and not settled, of all versions of the model. */
  inFlight(model: string, jobs: number): void;

  /** Batches have at most so many rows from now on. */
  batchLimited(model: string, rowsMax: number): void;
  /** One per claimed batch. */
  released(model: string, reason: ReleaseReason): void;
  /** One per run. `elements`: of its input tensors, filled by inputs and by padding. */
  batchRan(
    model: string,
    rows: number,
    computeSeconds: number,
    elements: { readonly useful: number; readonly padding: number },
  ): void;
  /** A compute thread prepared or ran for this long, whatever came of it. */
  busy(model: string, seconds: number): void;
  /** A batch failed and is divided. */
  isolated(model: string, kind: IsolationKind): void;
  /** What a run took by what was expected of it. */
  latencyRatio(model: string, ratio: number): void;
  /** What a job waited by the longest wait it was accepted with. */
  waitBound(model: string, ratio: number): void;
  /**
   * A job ended so much later than estimated when it was accepted; negative when earlier. `isMissed`: after the
   * end of its budget, or after the estimate where it had none.
   */
  promiseEnded(model: string, errorSeconds: number, isMissed: boolean): void;

  /** `traceId`: of the request, where it is traced. */
  stage(model: string, stage: WorkerStage, seconds: number, traceId?: string): void;
  /** Request headers read to result stored; `traceId` as for a stage. */
  endToEnd(model: string, priority: Priority, seconds: number, traceId?: string): void;
  settled(cls: ClassId, priority: Priority, outcome: WorkerOutcome): void;
  /** A job succeeded after the end of the budget it was accepted with. */
  late(model: string, priority: Priority): void;
  /** A result was dropped: the job had ended or changed hands. */
  resultDropped(model: string): void;

  leasesNotRenewed(model: string, leases: number): void;
  /** Jobs of lost workers were found: returned, or failed for good. */
  jobsStalled(model: string, jobs: number): void;
  /** A sweep or a claim ended these jobs, and no worker that ran them. */
  jobsSwept(cls: ClassId, jobs: readonly SweptJob[]): void;
  /** A duration between this process and the queue came out negative: the offset of the clocks is an estimate. */
  clockClamped(stage: 'fetch' | 'publish'): void;
  /** This process's clock minus the queue's. */
  clockOffset(seconds: number): void;
  /** Claimed jobs that were left when the time to drain was over. */
  abandoned(jobs: number): void;
}
