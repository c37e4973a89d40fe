/**
 * One class of a composed model on this worker. Its jobs run no session here: up to `concurrentMax` of them wait
 * for their steps at a time. They take no slot, no share of the device, and nothing of the exclusive gate: a
 * suspect among their steps waits for the process to be quiet, and would wait for ever for its own parent.
 */
import { concurrentMaxDefault, failure, type ServiceProfile } from '@inferry/contracts';
import { sleep } from '@inferry/runtime';
import { LatencyModel, profileOf } from '@inferry/scheduling';
import { ask, noteStarts } from '../claim-batch.ts';
import type { HeldJob } from '../held-job.ts';
import { fail } from '../outcomes.ts';
import type { Wake } from '../wake.ts';
import { type ComposedContext, serveComposed } from './composed-job.ts';

/** Pause after a claim that failed: the queue is away. */
const claimRetryMs = 1_000;
/** Pause when jobs wait that this worker cannot take, such as those of a newer version. */
const untakenMs = 50;

export interface ComposedLaneDeps {
  readonly context: ComposedContext;
  readonly wake: Wake;
}

export class ComposedLane {
  readonly #context: ComposedContext;
  readonly #wake: Wake;
  readonly #places: number;
  #stop = new AbortController();
  /** When the jobs under way were started, on the local clock. */
  readonly #jobs = new Map<Promise<void>, number>();
  readonly #latency = new LatencyModel();
  #loop: Promise<void> = Promise.resolve();
  #placeFree = (): void => undefined;
  #hasFailedToClaim = false;

  constructor({ context, wake }: ComposedLaneDeps) {
    this.#context = context;
    this.#wake = wake;
    this.#places = context.manifest.concurrentMax ?? concurrentMaxDefault;
  }

  /** Claims from now on, also after it was stopped and has {@link stopped}. */
  start(): void {
    this.#stop = new AbortController();
    this.#loop = this.#claimUntilStopped();
  }

  /** Claims nothing more. */
  stopClaiming(): void {
    this.#stop.abort();
    this.#placeFree();
  }

  /** Resolves when no claim is under way. */
  stopped(): Promise<void> {
    return this.#loop;
  }

  /** Resolves when the loop has ended and every claimed job was settled, given back or lost. */
  async idle(): Promise<void> {
    await this.#loop;
    while (this.#jobs.size > 0) await Promise.all(this.#jobs.keys());
  }

  /** What the queue is told of the class: a place is a run of one job, as long as its steps take. */
  profile(): ServiceProfile | null {
    const { overheadMs, safety } = this.#context.watch;
    const { tailFactor } = this.#latency;
    return profileOf(
      { meanMs: () => this.#meanMs(), tailFactor },
      { rowsMax: 1, overheadMs, runs: this.#places, safety, stretch: 1 },
    );
  }

  async #claimUntilStopped(): Promise<void> {
    const { clock } = this.#context;
    const { signal } = this.#stop;
    while (!signal.aborted) {
      try {
        await this.#claim(signal);
        this.#hasFailedToClaim = false;
      } catch (cause) {
        this.#reportFailure(cause);
        await sleep(clock, claimRetryMs, signal);
      }
    }
  }

  async #claim(signal: AbortSignal): Promise<void> {
    const free = this.#places - this.#jobs.size;
    if (free <= 0) {
      await new Promise<void>((resolve) => {
        this.#placeFree = resolve;
      });
      return;
    }
    const { clock, cls, leases } = this.#context;
    const claimed = await ask(this.#context, {
      // Every job has a row at least, and a first one that has more is taken alone.
      rowsMax: free,
      rowsMin: 1,
      takeSuspect: true,
      freeInMs: this.#freeInMs(),
    });
    noteStarts(claimed.claims, this.#context);
    if (claimed.claims.length > 0) {
      for (const job of leases.hold(cls, claimed.claims, 'slot')) this.#launch(job);
    } else if (claimed.waiting > 0) {
      await sleep(clock, untakenMs, signal);
    } else {
      await this.#wake.wait(cls, signal);
    }
  }

  #launch(job: HeldJob): void {
    const serving = this.#serve(job).finally(() => {
      this.#jobs.delete(serving);
      this.#placeFree();
    });
    this.#jobs.set(serving, this.#context.clock.nowMs());
  }

  async #serve(job: HeldJob): Promise<void> {
    const { cls, leases } = this.#context;
    try {
      const durationMs = await serveComposed(job, this.#context);
      if (durationMs !== undefined) {
        this.#latency.record({ rows: 1, durationMs, isFirst: false, idleMs: 0 });
      }
    } catch (cause) {
      await this.#endBroken(job, cause);
    } finally {
      if (job.isLost) leases.release(cls, [job]);
    }
  }

  /** An exception here is a bug. Its job is told so, and must not stay claimed for ever. */
  async #endBroken(job: HeldJob, cause: unknown): Promise<void> {
    const { cls, leases, logger, settler } = this.#context;
    logger.error(
      { class: cls, job_ids: [job.claim.job.id], err: cause },
      'a job could not be served',
    );
    if (job.isOpen) {
      const broken = failure('internal', 'The worker failed to serve this job.');
      fail(job, broken, null, this.#context);
    }
    const isHeld = leases.held().get(cls)?.has(job) === true;
    if (job.outcome !== null && isHeld) await settler.settle(cls, [job]);
  }

  /** Before the first job nobody knows: an offer there must be, or budgets would let in nobody to learn from. */
  #meanMs(): number {
    return this.#latency.meanMs(1) ?? this.#context.limits.rowWorkMsPrior;
  }

  /** For each place: when it is expected to be free, ms. */
  #freeInMs(): readonly number[] {
    const nowMs = this.#context.clock.nowMs();
    const meanMs = this.#meanMs();
    const busy = [...this.#jobs.values()].map((atMs) => Math.max(0, atMs + meanMs - nowMs));
    const free = Array.from({ length: this.#places - busy.length }, () => 0);
    return [...free, ...busy];
  }

  #reportFailure(cause: unknown): void {
    if (this.#hasFailedToClaim) return;
    this.#hasFailedToClaim = true;
    this.#context.logger.warn({ class: this.#context.cls, err: cause }, 'cannot claim; trying on');
  }
}
