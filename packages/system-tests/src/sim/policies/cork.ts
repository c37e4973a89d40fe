/**
 * BentoML's adaptive batching ("cork"): an idle runner waits for more as long as that seems to cost less
 * than what requests have been waiting before, and the oldest request is refused when the whole line,
 * taken as one batch, would end too late.
 *
 * Source: bentoml/BentoML, `bentoml/marshal/dispatcher.py` of 0.13.1, which serves the newest first, and
 * `src/bentoml/_internal/marshal/dispatcher.py` of 1.4, which serves the oldest first, starts from
 * scaled coefficients and begins with 11 dispatches for training (simplified here).
 */
import type { Request, World } from '../world.ts';
import { leastSquares, type Sample } from './least-squares.ts';
import { Line } from './line.ts';

export interface CorkOptions {
  readonly version: '0.13' | '1.4';
  /** `max_latency_ms`. */
  readonly latencyMaxMs: number;
}

const pollMs = 1;
const samplesMax = 50;
const refreshMs = 5_000;
const warmupRuns = 2;
const trainingDispatches = 11;
/** Requests to wait for in each dispatch of the training; the first counts for all before the last three. */
const trainingSizes = [8, 6, 5, 3] as const;

export class Cork extends Line {
  readonly #options: CorkOptions;
  /** The coefficients of the model of a run, and the mean wait of the oldest of a batch, ms. */
  #rowMs: number;
  #fixedMs: number;
  #waitMs: number;
  #samples: Sample[] = [];
  #dispatches = 0;
  #runs = 0;
  #refreshedAtMs = -Infinity;
  #isPolling = false;

  constructor(world: World, options: CorkOptions) {
    super(world);
    this.#options = options;
    const { latencyMaxMs, version } = options;
    const isOld = version === '0.13';
    this.#rowMs = isOld ? 2_000 : Math.min(2_000, latencyMaxMs / 15);
    this.#fixedMs = isOld ? 1_000 : Math.min(1_000, latencyMaxMs / 30);
    this.#waitMs = isOld ? 10 : 0;
  }

  arrive(request: Request): void {
    this.enter(request);
    if (this.#isPolling) return;
    this.#isPolling = true;
    this.world.engine.after(0, () => this.#poll());
  }

  /** A run that ended changes nothing before the next poll. */
  protected dispatch(): void {}

  #poll(): void {
    while (this.#step());
  }

  /** One look at the line; false when nothing is left to do at this instant. */
  #step(): boolean {
    const { first, last, length } = this.waiting;
    if (first === undefined || last === undefined) {
      this.#isPolling = false;
      return false;
    }
    const oldestMs = this.nowMs - first.arrivedAtMs;
    if (this.#isTooLate(length, oldestMs)) {
      this.waiting.shift();
      this.world.refuse(first);
      return true;
    }
    const newestMs = this.nowMs - last.arrivedAtMs;
    if (!this.hasFree || this.#isCorked(length, newestMs)) {
      this.world.engine.after(pollMs, () => this.#poll());
      return false;
    }
    this.#release(Math.min(length, this.rowsMax));
    return true;
  }

  get #isTraining(): boolean {
    return this.#options.version !== '0.13' && this.#dispatches < trainingDispatches;
  }

  #isTooLate(length: number, oldestMs: number): boolean {
    const { latencyMaxMs } = this.#options;
    if (this.#isTraining) {
      const untilLast = trainingDispatches - trainingSizes.length;
      const size = trainingSizes[Math.max(0, this.#dispatches - untilLast)] ?? 1;
      return length > size && oldestMs >= latencyMaxMs;
    }
    if (length === 1) return !this.hasFree && oldestMs >= latencyMaxMs;
    return oldestMs + this.#rowMs * length + this.#fixedMs >= latencyMaxMs;
  }

  #isCorked(length: number, newestMs: number): boolean {
    if (this.#isTraining) return false;
    if (this.#options.version !== '0.13' && length >= this.rowsMax) return false;
    return length * (newestMs + pollMs + this.#rowMs) <= this.#waitMs * 0.95;
  }

  #release(rows: number): void {
    const { nowMs } = this;
    const isOld = this.#options.version === '0.13';
    const isTraining = this.#isTraining;
    const batch = isOld ? this.#takeNewest(rows) : this.waiting.take(rows);
    const oldest = isOld ? batch.at(-1) : batch[0];
    const waitMs = isTraining || oldest === undefined ? 0 : nowMs - oldest.arrivedAtMs;
    this.#dispatches += 1;
    this.run(this.occupy(), batch, (ms) => this.#learn({ rows, ms, waitMs }));
  }

  #takeNewest(rows: number): Request[] {
    return Array.from({ length: rows }, () => this.waiting.pop()).filter(
      (one) => one !== undefined,
    );
  }

  #learn(sample: Sample): void {
    this.#runs += 1;
    if (this.#runs <= warmupRuns) return;
    this.#samples.push(sample);
    if (this.#samples.length > samplesMax) this.#samples.shift();
    const isYoung = this.#options.version !== '0.13' && this.#runs <= trainingDispatches;
    if (!isYoung && this.nowMs - this.#refreshedAtMs < refreshMs) return;
    this.#refreshedAtMs = this.nowMs;
    const { intercept, slope } = leastSquares(this.#samples);
    this.#rowMs = Math.max(0.001, slope);
    this.#fixedMs = Math.max(0, intercept);
    const waits = this.#samples.reduce((sum, { waitMs }) => sum + waitMs, 0);
    this.#waitMs = Math.max(0, waits / this.#samples.length);
  }
}
