/**
 * One class on this worker: its slots and the loop that claims for it. It holds at most one batch more
 * than it has slots, claimed just in time to be prepared when a slot is free; jobs that wait, wait in the queue.
 */
import { failure } from '@inferry/contracts';
import { sleep } from '@inferry/runtime';
import { claimAheadAtMs } from '@inferry/scheduling';
import { type BatchClaim, claimBatch, claimSuspect } from './claim-batch.ts';
import type { LaneContext } from './deps.ts';
import type { ExclusiveGate, Release } from './exclusive.ts';
import type { HeldJob } from './held-job.ts';
import { fail } from './outcomes.ts';
import type { Wake } from './wake.ts';
import { serveBatch } from './worker.ts';

/** Pause after a claim that failed: the queue is away. */
const claimRetryMs = 1_000;
/** Pause when jobs wait that this worker cannot take, such as those of a newer version. */
const untakenMs = 50;
/** A batch is claimed so much earlier than the expected end of a run says. */
const aheadPolicy = { marginMs: 2, marginShare: 0.1 };

export interface LaneDeps {
  readonly context: LaneContext;
  readonly gate: ExclusiveGate;
  readonly wake: Wake;
}

export class Lane {
  readonly #context: LaneContext;
  readonly #gate: ExclusiveGate;
  readonly #wake: Wake;
  readonly #stop = new AbortController();
  readonly #batches = new Set<Promise<void>>();
  /** Batches claimed whose runs have not ended, and batches whose outcomes are on their way. */
  #unfinished = 0;
  #settling = 0;
  #loop: Promise<void> = Promise.resolve();
  #endPause = (): void => undefined;
  #hasFailedToClaim = false;
  /** The last exclusive claim was not answered: whatever it took is answered to the next, as exclusive. */
  #owesSuspect = false;

  constructor(deps: LaneDeps) {
    this.#context = deps.context;
    this.#gate = deps.gate;
    this.#wake = deps.wake;
    this.#context.slots.watch(() => this.#endPause());
  }

  get context(): LaneContext {
    return this.#context;
  }

  start(): void {
    this.#loop = this.#claimUntilStopped();
  }

  /** Claims nothing more. */
  stopClaiming(): void {
    this.#stop.abort();
    this.#endPause();
  }

  /** Resolves when the loop has ended and every claimed batch was settled or given back. */
  async idle(): Promise<void> {
    await this.#loop;
    while (this.#batches.size > 0) await Promise.all(this.#batches);
  }

  async #claimUntilStopped(): Promise<void> {
    const { clock } = this.#context;
    const { signal } = this.#stop;
    while (!signal.aborted) {
      const dueInMs = this.#claimAtMs() - clock.nowMs();
      if (dueInMs > 0) {
        await this.#pause(dueInMs);
        continue;
      }
      try {
        await this.#claim(signal);
        this.#hasFailedToClaim = false;
      } catch (cause) {
        this.#reportFailure(cause);
        await sleep(clock, claimRetryMs, signal);
      }
    }
  }

  /** When the next batch is to be claimed; infinity until something changes. */
  #claimAtMs(): number {
    const { batchSize, clock, prepareDurations, slots } = this.#context;
    const count = slots.all.length;
    if (this.#unfinished > count || this.#settling > count || slots.hasOverdue) return Infinity;
    if (this.#unfinished < count) return clock.nowMs();
    const running = slots.all.flatMap((slot) => slot.running ?? []);
    // A claimed batch is still being prepared: its run, once it starts, says when the next is due.
    if (running.length < count) return Infinity;
    const view = {
      slotsFree: 0,
      running: running.map(({ startedAtMs, rows }) => ({
        startedAtMs,
        expectedMs: batchSize.latency.meanMs(rows),
      })),
      prepareMs: prepareDurations.meanMs(batchSize.rowsMax),
    };
    return claimAheadAtMs(view, aheadPolicy, clock.nowMs());
  }

  async #claim(signal: AbortSignal): Promise<void> {
    if (this.#owesSuspect) return this.#claimSuspect(signal);
    const release = await this.#gate.shared(signal);
    if (release === undefined) return;
    const taken = await claimOr(release, () => claimBatch(this.#context));
    if (taken.jobs.length > 0) {
      this.#launch(taken, release);
      return;
    }
    release();
    const { clock, cls } = this.#context;
    if (taken.suspectAhead) await this.#claimSuspect(signal);
    else if (taken.lingerMs !== null) await this.#pause(taken.lingerMs);
    else if (taken.waiting > 0) await sleep(clock, untakenMs, signal);
    else await this.#wake.wait(cls, signal);
  }

  /** A suspect runs when nothing else is active in this process, which it may take with it. */
  async #claimSuspect(signal: AbortSignal): Promise<void> {
    const release = await this.#gate.exclusive(signal);
    if (release === undefined) return;
    this.#owesSuspect = true;
    const taken = await claimOr(release, () => claimSuspect(this.#context));
    this.#owesSuspect = false;
    if (taken.jobs.length > 0) this.#launch(taken, release);
    else release();
  }

  #launch(taken: BatchClaim, release: Release): void {
    const { manifest, telemetry } = this.#context;
    telemetry.released(manifest.name, taken.reason);
    const batch = this.#serve(taken.jobs).finally(() => {
      this.#batches.delete(batch);
      release();
      this.#endPause();
    });
    this.#batches.add(batch);
  }

  async #serve(jobs: readonly HeldJob[]): Promise<void> {
    const { cls, leases } = this.#context;
    this.#unfinished += 1;
    let hasRun = false;
    const onRan = (): void => {
      if (hasRun) return;
      hasRun = true;
      this.#unfinished -= 1;
      this.#settling += 1;
      this.#endPause();
    };
    try {
      await serveBatch(jobs, this.#context, onRan);
    } catch (cause) {
      await this.#endBroken(jobs, cause);
    } finally {
      onRan();
      this.#settling -= 1;
      leases.release(
        cls,
        jobs.filter((job) => job.isLost),
      );
    }
  }

  /**
   * An exception here is a bug. Its jobs are told so; they must not stay claimed for ever, nor must their
   * neighbours whose outcomes were ready when it happened.
   */
  async #endBroken(jobs: readonly HeldJob[], cause: unknown): Promise<void> {
    const { cls, leases, logger, settler } = this.#context;
    const open = jobs.filter((job) => job.isOpen);
    const job_ids = open.map((job) => job.claim.job.id);
    logger.error({ class: cls, job_ids, err: cause }, 'a batch could not be served');
    const broken = failure('internal', 'The worker failed to serve this job.');
    for (const job of open) fail(job, broken, null, this.#context);
    const held = leases.held().get(cls);
    const unsettled = jobs.filter((job) => job.outcome !== null && held?.has(job) === true);
    await settler.settle(cls, unsettled);
  }

  async #pause(ms: number): Promise<void> {
    const pause = new AbortController();
    this.#endPause = () => pause.abort();
    if (this.#stop.signal.aborted) return;
    await sleep(this.#context.clock, ms, pause.signal);
  }

  #reportFailure(cause: unknown): void {
    if (this.#hasFailedToClaim) return;
    this.#hasFailedToClaim = true;
    this.#context.logger.warn({ class: this.#context.cls, err: cause }, 'cannot claim; trying on');
  }
}

async function claimOr(release: Release, claim: () => Promise<BatchClaim>): Promise<BatchClaim> {
  try {
    return await claim();
  } catch (cause) {
    release();
    throw cause;
  }
}
