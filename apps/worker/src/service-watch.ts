/**
 * What the offers of a class rest on beside its run times: what a batch costs around its run, and whether
 * the estimates that jobs were accepted with came true.
 */
import type { ModelManifest } from '@inferry/contracts';
import type { Claim } from '@inferry/queue';
import { PromiseWatch } from '@inferry/scheduling';
import type { WorkerTelemetry } from './telemetry.ts';

/** A claim and a settlement are two exchanges with the queue, of about a millisecond each. */
const exchangeMs = 1;
/** What a measurement counts against those before it. */
const gain = 1 / 16;
/** A class that had nothing to do for so many ticks is idle. */
const idleTicks = 2;
/** Longer than this was an outage, not work. */
const sampleMsMax = 10_000;

export class ServiceWatch {
  readonly #model: string;
  readonly #telemetry: Pick<WorkerTelemetry, 'promiseEnded' | 'waitBound'>;
  readonly #lingerMs: number;
  readonly #onIdleChange: () => void;
  readonly #promises = new PromiseWatch();
  #startMs = exchangeMs;
  #settleMs = exchangeMs;
  #ticksSinceWork = 0;
  #wasIdle = false;

  /** `onIdleChange` is called when {@link isIdle} is another than it was: at a tick, or at once where a promise was missed. */
  constructor(
    { linger, name }: Pick<ModelManifest, 'linger' | 'name'>,
    telemetry: Pick<WorkerTelemetry, 'promiseEnded' | 'waitBound'>,
    onIdleChange: () => void,
  ) {
    this.#model = name;
    this.#lingerMs = linger.mode === 'none' ? 0 : linger.maxMs;
    this.#telemetry = telemetry;
    this.#onIdleChange = onIdleChange;
  }

  /** A batch that found the device idle ran so long after its claim: for its payloads and preprocessing. */
  started(afterMs: number): void {
    this.#startMs = moved(this.#startMs, afterMs);
  }

  /** Outcomes took so long to be stored. */
  stored(afterMs: number): void {
    this.#settleMs = moved(this.#settleMs, afterMs);
  }

  /** A job was claimed. A worker that was lost under it is no matter of the wait that was promised. */
  claimed({ attempt, claimedAtMs, enqueuedAtMs, promise }: Claim): void {
    this.#ticksSinceWork = 0;
    if (attempt > 1 || promise === null) return;
    const boundMs = promise.startByMs - enqueuedAtMs + this.#lingerMs;
    if (boundMs <= 0) return;
    this.#telemetry.waitBound(this.#model, (claimedAtMs - enqueuedAtMs) / boundMs);
  }

  settled({ promise }: Claim, settledAtMs: number): void {
    if (promise === null) return;
    const { dueAtMs, readyAtMs } = promise;
    // An estimate that is off by a little either way is no harm: the budget is what was promised.
    if (dueAtMs !== null) this.#promises.observe(settledAtMs - dueAtMs);
    const isMissed = settledAtMs > (dueAtMs ?? readyAtMs);
    this.#telemetry.promiseEnded(this.#model, (settledAtMs - readyAtMs) / 1_000, isMissed);
    // What was promised while the class was idle was too much: nobody else is to be told so.
    if (isMissed) this.#tellIdle();
  }

  /** To be called once a second; `hasWork`: jobs of the class are claimed and not settled. */
  tick(hasWork: boolean): void {
    this.#ticksSinceWork = hasWork ? 0 : this.#ticksSinceWork + 1;
    this.#promises.tick();
    this.#tellIdle();
  }

  /** Nothing ran of late: what is known of runs was learned before. */
  get isIdle(): boolean {
    return this.#ticksSinceWork >= idleTicks;
  }

  #tellIdle(): void {
    const { isIdle } = this;
    if (isIdle === this.#wasIdle) return;
    this.#wasIdle = isIdle;
    this.#onIdleChange();
  }

  /** What a batch costs beside its run, ms. */
  get overheadMs(): number {
    return this.#startMs + this.#settleMs;
  }

  /** By how much new promises have to be more careful, at least 1. */
  get safety(): number {
    return this.#promises.factor;
  }
}

function moved(meanMs: number, sampleMs: number): number {
  const isSample = sampleMs >= 0 && sampleMs <= sampleMsMax;
  return isSample ? meanMs + gain * (sampleMs - meanMs) : meanMs;
}
