/**
 * What every policy is given: time, a network, devices with noisy run times, and a ledger of what became
 * of each request. Policies decide about order, batches and refusals, and nothing else differs.
 */
import { invariant } from '@inferry/runtime';
import { Draws } from './draws.ts';
import { Engine } from './engine.ts';

/** One attempt of a client to have an answer. */
export interface Request {
  readonly tenant: string;
  /** First attempt of what the client wants; later attempts keep it. */
  readonly bornAtMs: number;
  readonly attempt: number;
  readonly sentAtMs: number;
  /** At the policy, after network and ingest. */
  arrivedAtMs: number;
  /** Place in the order of acceptance, from 0; -1 unless it was accepted. */
  order: number;
  /** When its last run started; -1 until then. */
  startedAtMs: number;
  /** Place among all starts, from 0; -1 until it started. */
  start: number;
  endedAtMs: number;
  end: 'answered' | 'refused' | null;
  /** The client was given a job to come back for, instead of a refusal. */
  isJob: boolean;
  /** Told to the client of a refusal; null when it was told nothing. */
  retryAfterMs: number | null;
}

/** Time of a run: `fixedMs + rowMs * rows`, times noise. */
export interface DeviceModel {
  readonly fixedMs: number;
  readonly rowMs: number;
  /** Deviation of the logarithm of the noise. */
  readonly deviation: number;
}

/** YOLOv4 on a T4: 60 ms for one row, 260 ms for eight, and so at most 30.8 rows a second. */
export const detector: DeviceModel = { fixedMs: 60 - 200 / 7, rowMs: 200 / 7, deviation: 0.04 };
/** A model whose fixed cost dominates. */
export const smallModel: DeviceModel = { fixedMs: 5, rowMs: 0.2, deviation: 0.04 };

export interface WorldOptions {
  readonly seed: number;
  readonly device: DeviceModel;
  /** One entry a worker: how many times slower than the device it is. */
  readonly slowness: readonly number[];
  /** Most rows of a batch. */
  readonly rowsMax: number;
  /** One way, ms. */
  readonly networkMs: number;
  /** What it takes the gateway, one request after the other, to read a request, ms. */
  readonly ingestMs: number;
}

export interface Policy {
  arrive(request: Request): void | Promise<void>;
  /** What it promises and did not keep, in words; asked once, at the end. */
  broken?(): Promise<readonly string[]>;
}

export class World {
  readonly options: WorldOptions;
  readonly engine = new Engine();
  readonly draws: Draws;
  /** Every attempt that ended, in order of end. */
  readonly ended: Request[] = [];
  /** Rows of each run. */
  readonly runs: number[] = [];
  /** Device time of all runs. */
  busyMs = 0;
  /** The longest run. */
  longestRunMs = 0;
  sent = 0;
  /** To be set before the first request is sent. */
  policy: Policy | null = null;
  /** Called with each answer or refusal, when the client has it. */
  onEnd: (request: Request) => void = () => undefined;
  #accepted = 0;
  #starts = 0;
  #ingestFreeAtMs = 0;

  constructor(options: WorldOptions) {
    this.options = options;
    this.draws = new Draws(options.seed);
  }

  get workers(): number {
    return this.options.slowness.length;
  }

  /** A client sends; `previous` is the attempt that was refused, when it is not the first. */
  send(tenant: string, previous: Request | null = null): void {
    const { engine, options } = this;
    const nowMs = engine.nowMs();
    this.sent += 1;
    const request: Request = {
      tenant,
      bornAtMs: previous?.bornAtMs ?? nowMs,
      attempt: (previous?.attempt ?? 0) + 1,
      sentAtMs: nowMs,
      arrivedAtMs: nowMs,
      order: -1,
      startedAtMs: -1,
      start: -1,
      endedAtMs: -1,
      end: null,
      isJob: false,
      retryAfterMs: null,
    };
    let atMs = nowMs + options.networkMs;
    if (options.ingestMs > 0) {
      atMs = Math.max(atMs, this.#ingestFreeAtMs) + options.ingestMs;
      this.#ingestFreeAtMs = atMs;
    }
    engine.at(atMs, () => {
      request.arrivedAtMs = engine.nowMs();
      return this.policy?.arrive(request);
    });
  }

  /** To be told of every request that is taken in, in that order. */
  accept(request: Request): void {
    request.order = this.#accepted;
    this.#accepted += 1;
  }

  refuse(request: Request, retryAfterMs: number | null = null): void {
    request.retryAfterMs = retryAfterMs;
    this.#end(request, 'refused');
  }

  /** Runs a batch on a worker; `onRan` is called when it ends, with its duration. */
  run(
    worker: number,
    batch: readonly Request[],
    onRan: (ms: number) => void | Promise<void>,
  ): void {
    const ms = this.runMs(worker, batch.length);
    this.runs.push(batch.length);
    this.busyMs += ms;
    this.longestRunMs = Math.max(this.longestRunMs, ms);
    for (const request of batch) {
      request.startedAtMs = this.engine.nowMs();
      request.start = this.#starts;
      this.#starts += 1;
    }
    this.engine.after(ms, () => onRan(ms));
  }

  answer(batch: readonly Request[]): void {
    for (const request of batch) this.#end(request, 'answered');
  }

  /** A draw of how long a worker runs `rows` rows. */
  runMs(worker: number, rows: number): number {
    const { device, slowness } = this.options;
    const factor = (slowness[worker] ?? 1) * this.draws.noise(device.deviation);
    return (device.fixedMs + device.rowMs * rows) * factor;
  }

  /** Expected duration on the fastest worker, for policies that are given a profile. */
  meanRunMs(rows: number): number {
    const { device } = this.options;
    return device.fixedMs + device.rowMs * rows;
  }

  #end(request: Request, end: 'answered' | 'refused'): void {
    invariant(request.end === null, 'a request ends once');
    request.end = end;
    request.endedAtMs = this.engine.nowMs() + this.options.networkMs;
    this.ended.push(request);
    this.engine.at(request.endedAtMs, () => this.onEnd(request));
  }
}
