/**
 * A worker whose runs are draws of a random number: the decisions are those of @inferry/scheduling and the
 * jobs are claimed from the real queue, as apps/worker does it.
 */
import { type ClassId, defaultLimits, type LingerSpec, type Outcome } from '@inferry/contracts';
import type { Claim, Claimed, JobQueue } from '@inferry/queue';
import {
  BatchLimit,
  decideRelease,
  LatencyModel,
  mayLinger,
  profileOf,
  PromiseWatch,
} from '@inferry/scheduling';
import type { World } from '../world.ts';

export interface SimWorkerDeps {
  readonly world: World;
  readonly queue: Pick<JobQueue, 'claim' | 'settle' | 'offer'>;
  readonly cls: ClassId;
  readonly linger: LingerSpec;
  readonly latencyTargetMs: number | null;
  readonly onClaimed: (worker: number, rowsMax: number, claimed: Claimed) => void;
}

/** What became of a look for work. */
export type Look =
  | { readonly found: 'batch'; readonly claims: readonly Claim[] }
  /** A fuller batch is waited for: look again then. */
  | { readonly found: 'company'; readonly againInMs: number }
  | { readonly found: 'nothing' };

/** Runs of each size before the first job, as in a warm-up. */
const warmupRuns = 3;
/** How often a lingering batch is looked at, as a share of the longest linger. */
const looksPerLinger = 4;

export class SimWorker {
  readonly index: number;
  readonly #id: string;
  readonly #deps: SimWorkerDeps;
  readonly #latency = new LatencyModel();
  readonly #limit: BatchLimit;
  readonly #watch = new PromiseWatch();
  #rowEveryMs: number | null = null;
  #idleSinceMs = 0;

  constructor(index: number, deps: SimWorkerDeps) {
    const { latencyTargetMs, world } = deps;
    const { rowsMax } = world.options;
    this.index = index;
    this.#id = `worker-${index}`;
    this.#deps = deps;
    for (let rows = 1; ; rows = Math.min(rows * 2, rowsMax)) {
      for (let run = 0; run < warmupRuns; run += 1) {
        const durationMs = world.runMs(index, rows);
        this.#latency.record({ rows, durationMs, isFirst: false, idleMs: 0 });
      }
      if (rows === rowsMax) break;
    }
    const policy = { rowsMax, latencyTargetMs, servers: 1, overheadMs: 0, seeksKnee: false };
    this.#limit = new BatchLimit(this.#latency, policy);
    world.engine.every(1_000, () => this.#watch.tick());
    world.engine.every(defaultLimits.leaseMs / 3, () => this.offer());
  }

  async offer(): Promise<void> {
    const { rows: rowsMax } = this.#limit.cap;
    const safety = this.#watch.factor;
    const profile = profileOf(this.#latency, {
      rowsMax,
      safety,
      overheadMs: 0,
      runs: 1,
      stretch: 1,
    });
    await this.#deps.queue.offer(this.#id, this.#deps.cls, profile);
  }

  /** Claims a batch, when one is to depart now. */
  async look(rowsMax = this.#limit.rowsToClaim()): Promise<Look> {
    const { latencyTargetMs, linger } = this.#deps;
    const policy = {
      rowsMax,
      linger,
      latencyTargetMs,
      meanRunMs: (rows: number) => this.#latency.meanMs(rows),
      tailRunMs: (rows: number) => this.#latency.tailMs(rows),
    };
    if (!mayLinger(policy, this.#rowEveryMs)) return this.#take(rowsMax);
    const full = await this.#ask(rowsMax, rowsMax);
    if (full.claims.length > 0) return this.#found(rowsMax, full);
    const decision = decideRelease(full, policy, full.nowMs);
    if (decision.do === 'release') return this.#take(rowsMax);
    if (full.rowsWaiting === 0) return { found: 'nothing' };
    const againInMs = Math.min(decision.untilMs - full.nowMs, linger.maxMs / looksPerLinger);
    return { found: 'company', againInMs: Math.max(againInMs, 1) };
  }

  async #take(rowsMax: number): Promise<Look> {
    const claimed = await this.#ask(rowsMax, 1);
    if (claimed.claims.length > 0) return this.#found(rowsMax, claimed);
    this.#deps.onClaimed(this.index, rowsMax, claimed);
    return { found: 'nothing' };
  }

  async #ask(rowsMax: number, rowsMin: number): Promise<Claimed> {
    const claimed = await this.#deps.queue.claim(this.#deps.cls, {
      workerId: this.#id,
      rowsMax,
      rowsMin,
      takeSuspect: false,
      freeInMs: [0],
      agingMs: defaultLimits.agingMs,
    });
    this.#rowEveryMs = claimed.rowEveryMs;
    return claimed;
  }

  #found(rowsMax: number, claimed: Claimed): Look {
    const { claims, waiting } = claimed;
    this.#deps.onClaimed(this.index, rowsMax, claimed);
    this.#limit.serve(Math.max(1, claimed.workers));
    this.#limit.claimed(claims.length, waiting);
    return { found: 'batch', claims };
  }

  /** For how long it has run nothing. */
  get idleMs(): number {
    return this.#deps.world.engine.nowMs() - this.#idleSinceMs;
  }

  /** A run ended well: learns from it and settles its jobs. */
  async ran(claims: readonly Claim[], durationMs: number, idleMs: number): Promise<void> {
    const { cls, queue, world } = this.#deps;
    const rows = claims.length;
    this.#latency.record({ rows, durationMs, isFirst: false, idleMs });
    const change = this.#limit.ran();
    const nowMs = world.engine.nowMs();
    this.#idleSinceMs = nowMs;
    for (const { promise } of claims) {
      const dueAtMs = promise?.dueAtMs ?? null;
      if (dueAtMs !== null) this.#watch.observe(nowMs - dueAtMs);
    }
    await queue.settle(
      cls,
      claims.map((claim) => ({ claim, outcome: succeeded(claim, rows, nowMs) })),
    );
    if (change !== null) await this.offer();
  }
}

function succeeded(claim: Claim, batchRows: number, readyAtMs: number): Outcome {
  return {
    status: 'succeeded',
    output: null,
    error: null,
    batchRows,
    timings: null,
    readyAtMs,
    overtakenBy: claim.overtakenBy,
  };
}
