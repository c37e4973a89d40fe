/**
 * What the offers of a class rest on beside its run times: what a batch costs around its run, and whether
 * the estimates that jobs were accepted with came true.
 */
import type { Claim } from '@inferry/queue';
import { PromiseWatch } from '@inferry/scheduling';
import type { WorkerTelemetry } from './telemetry.ts';

/** A claim and a settlement are two exchanges with the queue, of about a millisecond each. */
const exchangeMs = 1;
/** What a measurement counts against those before it. */
const gain = 1 / 16;
/** Longer than this was an outage, not work. */
const sampleMsMax = 10_000;

export class ServiceWatch {
  readonly #model: string;
  readonly #telemetry: Pick<WorkerTelemetry, 'promiseEnded' | 'waitBound'>;
  readonly #promises = new PromiseWatch();
  #startMs = exchangeMs;
  #settleMs = exchangeMs;

  constructor(model: string, telemetry: Pick<WorkerTelemetry, 'promiseEnded' | 'waitBound'>) {
    this.#model = model;
    this.#telemetry = telemetry;
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
    const boundMs = (promise?.startByMs ?? enqueuedAtMs) - enqueuedAtMs;
    if (attempt > 1 || boundMs <= 0) return;
    this.#telemetry.waitBound(this.#model, (claimedAtMs - enqueuedAtMs) / boundMs);
  }

  settled({ promise }: Claim, settledAtMs: number): void {
    if (promise === null) return;
    const errorMs = settledAtMs - promise.readyAtMs;
    this.#promises.observe(errorMs);
    this.#telemetry.promiseEnded(this.#model, errorMs / 1_000);
  }

  /** To be called once a second. */
  tick(): void {
    this.#promises.tick();
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
