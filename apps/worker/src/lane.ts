/**
 * One class on this worker: its slots and the loop that claims for it. It holds at most one batch more
 * than it has slots, claimed just in time to be prepared when a slot is free; jobs that wait, wait in the queue.
 */
import { failure } from '@inferry/contracts';
import { invariant, sleep } from '@inferry/runtime';
import type { RunningView } from '@inferry/scheduling';
import { type BatchClaim, claimBatch, claimSuspect } from './claim-batch.ts';
import type { LaneContext } from './deps.ts';
import { nextClaimAtMs, type Sharer, type Turn } from './device-share.ts';
import type { ExclusiveGate, Release } from './exclusive.ts';
import type { HeldJob } from './held-job.ts';
import { fail } from './outcomes.ts';
import type { Wake } from './wake.ts';
import { type RunPlace, serveBatch } from './worker.ts';

/** Pause after a claim that failed: the queue is away. */
const claimRetryMs = 1_000;
/** Pause when jobs wait that this worker cannot take, such as those of a newer version. */
const untakenMs = 50;

export interface LaneDeps {
  readonly context: LaneContext;
  readonly gate: ExclusiveGate;
  readonly wake: Wake;
  /** What {@link Lane.owesSuspect} said of the lane that this one takes the place of, once that has stopped. */
  readonly owesSuspect?: boolean;
}

export class Lane {
  readonly #context: LaneContext;
  readonly #gate: ExclusiveGate;
  readonly #wake: Wake;
  readonly #sharer: Sharer;
  #stop = new AbortController();
  readonly #batches = new Set<Promise<void>>();
  /** Rows of the batches that were claimed and do not run yet, in order of claim. */
  readonly #ahead = new Set<{ readonly rows: number }>();
  /** Batches claimed whose runs have not ended, and batches whose outcomes are on their way. */
  #unfinished = 0;
  #settling = 0;
  #loop: Promise<void> = Promise.resolve();
  #isClaiming = false;
  #endPause = (): void => undefined;
  #hasFailedToClaim = false;
  /** Mean time between the arrivals of two rows, as the last claim told. */
  #rowEveryMs: number | null = null;
  /** The last exclusive claim was not answered: whatever it took is answered to the next, as exclusive. */
  #owesSuspect: boolean;

  constructor(deps: LaneDeps) {
    this.#context = deps.context;
    this.#gate = deps.gate;
    this.#wake = deps.wake;
    this.#owesSuspect = deps.owesSuspect ?? false;
    const { batchSize, cls, device, manifest, prepareDurations, slots } = this.#context;
    this.#sharer = {
      cls,
      weight: manifest.weight,
      slots: slots.all.length,
      claimAtMs: () => this.#claimAtMs(),
      prepareMs: () => prepareDurations.meanMs(batchSize.rowsMax),
      running: () => this.#running(),
      expectedMs: (rows = batchSize.rowsMax) => batchSize.latency.meanMs(rows) ?? 0,
    };
    device.join(this.#sharer);
    slots.watch(() => this.#changed());
  }

  get context(): LaneContext {
    return this.#context;
  }

  /** Claims from now on, also after it was stopped and has {@link stopped}. */
  start(): void {
    invariant(!this.#isClaiming, 'a lane is started once, or again when it has stopped');
    this.#isClaiming = true;
    this.#stop = new AbortController();
    this.#loop = this.#claimUntilStopped().finally(() => {
      this.#isClaiming = false;
    });
  }

  /** Claims nothing more. */
  stopClaiming(): void {
    this.#stop.abort();
    this.#endPause();
  }

  /** Resolves when no claim is under way. */
  stopped(): Promise<void> {
    return this.#loop;
  }

  get owesSuspect(): boolean {
    return this.#owesSuspect;
  }

  /** Has no part of the device any more; only when it is idle. */
  leave(): void {
    this.#context.device.part(this.#sharer);
  }

  /** Resolves when the loop has ended and every claimed batch was settled or given back. */
  async idle(): Promise<void> {
    await this.#loop;
    while (this.#batches.size > 0) await Promise.all(this.#batches);
  }

  async #claimUntilStopped(): Promise<void> {
    const { clock, cls, device } = this.#context;
    const { signal } = this.#stop;
    for (;;) {
      const turn = await device.turn(cls, signal);
      if (turn === undefined) break;
      try {
        await this.#claim(turn, signal);
        this.#hasFailedToClaim = false;
      } catch (cause) {
        this.#reportFailure(cause);
        await sleep(clock, claimRetryMs, signal);
      }
    }
    device.leave(cls);
  }

  /** When the next batch is to be claimed, see `Sharer` in device-share.ts. */
  #claimAtMs(): number {
    const { batchSize, prepareDurations, slots } = this.#context;
    const count = slots.all.length;
    if (this.#unfinished > count || this.#settling > count || slots.hasOverdue) return Infinity;
    if (this.#unfinished < count) return -Infinity;
    const running = this.#running();
    // A claimed batch is still being prepared: its run, once it starts, says when the next is due.
    if (running.length < count) return Infinity;
    return nextClaimAtMs(running, prepareDurations.meanMs(batchSize.rowsMax));
  }

  /** A run that is overdue is not among them: nobody knows when it ends. */
  #running(): readonly RunningView[] {
    const { batchSize, slots } = this.#context;
    return slots.all
      .flatMap((slot) => (slot.isOverdue ? [] : (slot.running ?? [])))
      .map(({ startedAtMs, rows }) => ({
        startedAtMs,
        expectedMs: batchSize.latency.meanMs(rows),
        tailFactor: batchSize.latency.tailFactor,
      }));
  }

  /** For each run that the class may have at a time: when its slot is free of all that was claimed for it, ms. */
  #freeInMs(): readonly number[] {
    const { batchSize, clock, device, slots } = this.#context;
    const expectedMs = (rows: number): number => batchSize.latency.meanMs(rows) ?? 0;
    const nowMs = clock.nowMs();
    const freeInMs = slots.all
      .flatMap(({ running }) => running ?? [])
      .map(({ rows, startedAtMs }) => Math.max(0, startedAtMs + expectedMs(rows) - nowMs));
    while (freeInMs.length < device.runsOf(slots.all.length)) freeInMs.push(0);
    for (const { rows } of this.#ahead) {
      const earliest = freeInMs.indexOf(Math.min(...freeInMs));
      freeInMs[earliest] = (freeInMs[earliest] ?? 0) + expectedMs(rows);
    }
    return freeInMs;
  }

  /** Either launches a batch with the turn or gives it back. */
  async #claim(turn: Turn, signal: AbortSignal): Promise<void> {
    const release = this.#owesSuspect ? undefined : await this.#gate.shared(signal);
    if (release === undefined) {
      turn.giveBack();
      if (this.#owesSuspect) await this.#claimSuspect(signal);
      return;
    }
    const giveBack = (): void => {
      release();
      turn.giveBack();
    };
    const view = { freeInMs: this.#freeInMs(), rowEveryMs: this.#rowEveryMs };
    const taken = await claimOr(giveBack, () => claimBatch(this.#context, view));
    this.#rowEveryMs = taken.rowEveryMs;
    if (taken.jobs.length > 0) {
      this.#launch(taken, turn, release);
      return;
    }
    giveBack();
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
    const view = { freeInMs: this.#freeInMs() };
    const taken = await claimOr(release, () => claimSuspect(this.#context, view));
    this.#owesSuspect = false;
    const { cls, device } = this.#context;
    if (taken.jobs.length > 0) this.#launch(taken, device.exclusiveTurn(cls), release);
    else release();
  }

  #launch(taken: BatchClaim, turn: Turn, release: Release): void {
    const { manifest, telemetry } = this.#context;
    telemetry.released(manifest.name, taken.reason);
    turn.claimed(taken.rows);
    const batch = this.#serve(taken, turn).finally(() => {
      this.#batches.delete(batch);
      release();
      this.#changed();
    });
    this.#batches.add(batch);
  }

  async #serve(taken: BatchClaim, turn: Turn): Promise<void> {
    const { cls, leases } = this.#context;
    const { jobs } = taken;
    this.#unfinished += 1;
    this.#ahead.add(taken);
    const place: RunPlace = {
      mayRun: async () => {
        await turn.mayRun();
        this.#ahead.delete(taken);
        if (turn.foundIdle) this.#measureStart(jobs);
      },
      hasRun: () => {
        this.#ahead.delete(taken);
        this.#unfinished -= 1;
        this.#settling += 1;
        turn.end();
        this.#changed();
      },
    };
    try {
      await serveBatch(jobs, this.#context, place);
    } catch (cause) {
      await this.#endBroken(jobs, cause);
    } finally {
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

  #measureStart([first]: readonly HeldJob[]): void {
    const { clock, queueClock, watch } = this.#context;
    if (first === undefined) return;
    watch.started(clock.nowMs() - queueClock.toLocalMs(first.claim.claimedAtMs));
  }

  #changed(): void {
    this.#endPause();
    this.#context.device.changed();
  }

  /** Lets jobs linger; ends early when something changes. */
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
