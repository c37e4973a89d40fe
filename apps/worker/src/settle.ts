/**
 * Outcomes go back to the queue, each on its own fence, one call for all that are ready together. While
 * the queue is away they are kept, their leases with them, and the call is made again.
 */
import { type ClassId, partsOf } from '@inferry/contracts';
import type { JobQueue, StatisticsTally } from '@inferry/queue';
import { type Clock, invariant } from '@inferry/runtime';
import type { Logger } from '@inferry/telemetry';
import type { HeldJob } from './held-job.ts';
import type { Leases } from './leases.ts';
import type { QueueClock } from './queue-clock.ts';
import { untilDone } from './retry.ts';
import type { ServiceWatch } from './service-watch.ts';
import { countSettled } from './statistics.ts';
import type { WorkerTelemetry } from './telemetry.ts';
import { observeSettled } from './timings.ts';

export interface SettlerDeps {
  readonly queue: Pick<JobQueue, 'settle' | 'giveBack'>;
  readonly leases: Leases;
  readonly queueClock: QueueClock;
  readonly clock: Clock;
  readonly telemetry: WorkerTelemetry;
  readonly logger: Logger;
  readonly statistics: StatisticsTally;
  readonly watchOf: (cls: ClassId) => ServiceWatch | undefined;
  /** Aborted when the process is about to end: no more retries. */
  readonly halt: AbortSignal;
}

export class Settler {
  readonly #deps: SettlerDeps;

  constructor(deps: SettlerDeps) {
    this.#deps = deps;
  }

  /** Settles jobs that have an outcome. Never throws; jobs that could not be settled stay held. */
  async settle(cls: ClassId, jobs: readonly HeldJob[]): Promise<void> {
    await this.#untilDone(cls, jobs, async (ours) => {
      const settlements = ours.map((job) => {
        invariant(job.outcome !== null, 'only a job with an outcome is settled');
        return { claim: job.claim, outcome: job.outcome };
      });
      const { clock, queueClock, statistics, telemetry } = this.#deps;
      const sentAtMs = clock.nowMs();
      const settled = await this.#deps.queue.settle(cls, settlements);
      const { model } = partsOf(cls);
      const watch = this.#deps.watchOf(cls);
      watch?.stored(clock.nowMs() - sentAtMs);
      for (const [i, job] of ours.entries()) {
        const answer = settled[i];
        if (answer?.result === 'settled') {
          watch?.settled(job.claim, answer.settledAtMs);
          observeSettled(job, answer, queueClock, telemetry, model);
        } else {
          job.isLost = true;
          telemetry.resultDropped(model);
        }
      }
      const first = settled[0];
      const ended = ours.filter((_, i) => settled[i]?.result === 'settled');
      if (first !== undefined) countSettled(statistics, cls, ended, first, queueClock);
    });
  }

  /** Returns jobs without an outcome to their places. Never throws; see {@link JobQueue.giveBack}. */
  async giveBack(cls: ClassId, jobs: readonly HeldJob[], asSuspects: boolean): Promise<void> {
    for (const job of jobs) job.isGoingBack = true;
    await this.#untilDone(cls, jobs, (ours) =>
      this.#deps.queue.giveBack(
        cls,
        ours.map((job) => job.claim),
        asSuspects,
      ),
    );
  }

  /** Calls `act` with the jobs that are still ours until it succeeds, then lets go of their leases. */
  async #untilDone(
    cls: ClassId,
    jobs: readonly HeldJob[],
    act: (ours: readonly HeldJob[]) => Promise<void>,
  ): Promise<void> {
    const { clock, halt, leases, logger, telemetry } = this.#deps;
    let ours = jobs;
    const letGo = (): void => {
      const lost = ours.filter((job) => job.isLost);
      for (const job of lost) {
        if (job.outcome !== null) telemetry.resultDropped(partsOf(cls).model);
      }
      leases.release(cls, lost);
      ours = ours.filter((job) => !job.isLost);
    };
    await untilDone(
      clock,
      halt,
      async () => {
        letGo();
        if (ours.length > 0) await act(ours);
        leases.release(cls, ours);
      },
      (cause, failures) => {
        if (failures > 1) return;
        logger.warn({ class: cls, jobs: ours.length, err: cause }, 'queue is away; trying again');
      },
    );
  }
}
