/**
 * The batch cap in force. It follows {@link batchCap} with hysteresis: a lower cap is taken after 4 runs in
 * succession that ask for it and a higher one after 8, and it is raised only where the target is kept with
 * 5 % to spare, so that noise at the edge does not move it to and fro.
 *
 * What is not run is not known, so some batches are given another size than the cap, and only while enough
 * jobs wait to fill it. One in 200 at most is a row larger, because a cap that is too low would never be
 * found out. One in 8 at most is smaller, while the knee is being looked for: a few sizes, 4 runs each.
 */
import { batchCap, type BatchCap, type BatchCapPolicy } from './batch-cap.ts';
import { untriedRows } from './knee.ts';
import type { LatencyModel } from './latency-model.ts';

const confirmationsDown = 4;
const confirmationsUp = 8;
const raiseShare = 0.95;
const runsPerLargerTrial = 200;
const runsPerSmallerTrial = 8;

export interface BatchLimitChange {
  readonly from: BatchCap;
  readonly to: BatchCap;
}

export class BatchLimit {
  readonly #latency: LatencyModel;
  #policy: BatchCapPolicy;
  #cap: BatchCap;
  /** Runs in succession that asked for another cap: positive for a higher, negative for a lower one. */
  #asked = 0;
  #runsSinceLarger = 0;
  #runsSinceSmaller = 0;
  /** Jobs that were left waiting by the last claim. */
  #waiting = 0;

  constructor(latency: LatencyModel, policy: BatchCapPolicy) {
    this.#latency = latency;
    this.#policy = policy;
    this.#cap = batchCap(latency, policy);
  }

  get cap(): BatchCap {
    return this.#cap;
  }

  /** Sessions that share the queue of this class from now on, at least 1. */
  serve(servers: number): void {
    if (servers !== this.#policy.servers) this.#policy = { ...this.#policy, servers };
  }

  /** Most rows of the next claim: the cap, or the size of a trial that is due. */
  rowsToClaim(): number {
    const { rows } = this.#cap;
    const { overheadMs, rowsMax, seeksKnee } = this.#policy;
    const isLargerDue = this.#runsSinceLarger >= runsPerLargerTrial && this.#waiting > rows;
    if (isLargerDue && rows < rowsMax) return rows + 1;
    if (!seeksKnee || this.#runsSinceSmaller < runsPerSmallerTrial) return rows;
    const untried = untriedRows(this.#latency, rowsMax, overheadMs) ?? rows;
    return untried <= this.#waiting ? Math.min(untried, rows) : rows;
  }

  /** To be told of every claim that took something: its rows, and the jobs it left waiting. */
  claimed(rows: number, waiting: number): void {
    this.#waiting = waiting;
    if (rows > this.#cap.rows) this.#runsSinceLarger = 0;
    if (rows < this.#cap.rows) this.#runsSinceSmaller = 0;
  }

  /** To be called after every run that the latency model has learned from; the change, when there is one. */
  ran(): BatchLimitChange | null {
    this.#runsSinceLarger += 1;
    this.#runsSinceSmaller += 1;
    const from = this.#cap;
    const to = this.#wanted();
    if (to.rows === from.rows && to.isFeasible === from.isFeasible) {
      this.#asked = 0;
      return null;
    }
    const isUp = to.rows > from.rows;
    if (isUp) this.#asked = Math.max(0, this.#asked) + 1;
    else this.#asked = Math.min(0, this.#asked) - 1;
    if (isUp ? this.#asked < confirmationsUp : this.#asked > -confirmationsDown) return null;
    this.#asked = 0;
    this.#cap = to;
    return { from, to };
  }

  #wanted(): BatchCap {
    const { latencyTargetMs } = this.#policy;
    const exact = batchCap(this.#latency, this.#policy);
    if (latencyTargetMs === null) return exact;
    const tighter = { ...this.#policy, latencyTargetMs: latencyTargetMs * raiseShare };
    const spare = batchCap(this.#latency, tighter);
    if (!this.#cap.isFeasible) return spare;
    if (!exact.isFeasible || exact.rows < this.#cap.rows) return exact;
    return spare.isFeasible && spare.rows > this.#cap.rows ? spare : this.#cap;
  }
}
