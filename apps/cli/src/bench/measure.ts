/**
 * Measures one load: warm-up, then windows one after the other without a pause in the load, until three in
 * a row agree or there were as many as are allowed. Time and randomness come from outside.
 */
import { type Clock, type Random, sleep } from '@inferry/runtime';
import type { Ending } from './exchange.ts';
import type { HttpRequest } from './http.ts';
import type { Level } from './levels.ts';
import { closedLoop, type Load, openLoop } from './load.ts';
import type { BenchOptions } from './options.ts';
import { agreeingWindows, isStable, type WindowFigures } from './stability.ts';
import { type Sample, Tally } from './tally.ts';

/** What processes have used of the CPU so far, in ms. */
export interface CpuUse {
  readonly client: number;
  /** Of each process with metrics, in their order; null where it could not be read. */
  readonly servers: readonly (number | null)[];
}

interface Window {
  readonly durationMs: number;
  readonly tally: Tally;
  /** Used within the window. */
  readonly cpuMs: CpuUse;
}

export interface Measurement {
  readonly level: Level;
  /** `failed`: in a whole window nothing succeeded, so that more of them would tell nothing. */
  readonly end: 'stable' | 'not_stable' | 'interrupted' | 'failed';
  /** The last three at most; they are what is reported. */
  readonly windows: readonly Window[];
  /** Of every window, in order. */
  readonly figures: readonly WindowFigures[];
  /** In windows before the last three. */
  readonly discarded: { readonly requests: number; readonly errors: number };
}

export interface Phase {
  readonly name: 'warm-up' | 'window';
  /** From 1. */
  readonly number: number;
  readonly startedAtMs: number;
  /** As long as it is meant to last. */
  readonly durationMs: number;
  readonly tally: Tally;
}

export interface MeasureDeps {
  readonly clock: Clock;
  readonly random: Random;
  readonly options: BenchOptions;
  /** Sent in turn; at least one. */
  readonly requests: readonly HttpRequest[];
  readonly exchange: (request: HttpRequest) => Promise<Ending>;
  readonly readCpu: () => Promise<CpuUse>;
  /** Ends the measurement at once. */
  readonly stop: AbortSignal;
  readonly onPhase: (phase: Phase) => void;
}

/** A window with fewer says nothing: it lasts until they have ended, or for one time limit more. */
const windowRequestsMin = 10;
/** However many requests a warm-up is to have. */
const warmupMsMax = 3_600_000;

export async function measureLevel(level: Level, deps: MeasureDeps): Promise<Measurement> {
  const { clock, options, stop } = deps;
  const recorder = new Recorder();
  const load = startLoad(level, deps, recorder);
  const figures: WindowFigures[] = [];
  const windows: Window[] = [];
  const discarded = { requests: 0, errors: 0 };
  let end: Measurement['end'] = 'not_stable';
  try {
    await warmUp(recorder, deps);
    let before = await deps.readCpu();
    while (figures.length < options.windowsMax && !stop.aborted) {
      const startedAtMs = clock.nowMs();
      const tally = recorder.begin();
      const [durationMs, number] = [options.windowMs, figures.length + 1];
      deps.onPhase({ name: 'window', number, startedAtMs, durationMs, tally });
      await sleep(clock, durationMs, stop);
      await recorder.untilEnough(windowRequestsMin, options.timeoutMs, deps);
      const after = await deps.readCpu();
      const window = { durationMs: clock.nowMs() - startedAtMs, tally, cpuMs: used(before, after) };
      before = after;
      windows.push(window);
      figures.push(figuresOf(window, level, options.percentile));
      const tooOld = windows.length > agreeingWindows ? windows.shift() : undefined;
      discarded.requests += tooOld?.tally.requests ?? 0;
      discarded.errors += tooOld?.tally.errors ?? 0;
      if (stop.aborted) break;
      if (tally.succeeded === 0) end = 'failed';
      else if (isStable(figures, options.stability)) end = 'stable';
      if (end !== 'not_stable') break;
    }
  } finally {
    load.stop();
  }
  // What was begun ends before the next load begins; it is not counted any more.
  recorder.begin();
  await settled(load, deps);
  return { level, end: stop.aborted ? 'interrupted' : end, windows, figures, discarded };
}

async function warmUp(recorder: Recorder, deps: MeasureDeps): Promise<void> {
  const { clock, options, stop } = deps;
  const [startedAtMs, durationMs, tally] = [clock.nowMs(), options.warmupMs, recorder.begin()];
  deps.onPhase({ name: 'warm-up', number: 1, startedAtMs, durationMs, tally });
  await sleep(clock, durationMs, stop);
  await recorder.untilEnough(options.warmupRequests, warmupMsMax, deps);
}

function startLoad(level: Level, deps: MeasureDeps, recorder: Recorder): Load {
  const { clock, options, random, requests } = deps;
  let next = 0;
  const send = async (dueAtMs: number): Promise<void> => {
    const request = requests[next % requests.length];
    if (request === undefined) return;
    next += 1;
    recorder.due();
    const lateMs = clock.nowMs() - dueAtMs;
    const ending = await deps.exchange(request);
    recorder.add({ ...ending, lateMs, latencyMs: clock.nowMs() - dueAtMs });
  };
  if (level.kind === 'concurrency') return closedLoop(level.value, { clock, send });
  const { arrivals, inFlightMax } = options;
  const onNotSent = (): void => {
    recorder.due();
    recorder.add(notSent);
  };
  const perSecond = level.value;
  return openLoop({ perSecond, arrivals, inFlightMax, clock, random, send, onNotSent });
}

const notSent: Sample = {
  status: null,
  code: 'not_sent',
  isSuccess: false,
  stages: new Map(),
  batchRows: null,
  overtakenBy: null,
  latencyMs: null,
  lateMs: null,
};

/** Resolves when the last request has ended, which its time limit sees to, or on a stop. */
async function settled(load: Load, { clock, options, stop }: MeasureDeps): Promise<void> {
  const idle = new AbortController();
  void load.idle.finally(() => idle.abort());
  await sleep(clock, 2 * options.timeoutMs, AbortSignal.any([stop, idle.signal]));
}

/** Takes every sample into the tally of the moment. */
class Recorder {
  #tally = new Tally();
  #onAdd: (() => void) | undefined;

  /** From now on, samples go into the tally that is returned. */
  begin(): Tally {
    this.#tally = new Tally();
    return this.#tally;
  }

  /** A request came due. */
  due(): void {
    this.#tally.due += 1;
  }

  add(sample: Sample): void {
    this.#tally.add(sample);
    this.#onAdd?.();
  }

  /** Resolves when the tally of the moment has `count` requests, after `waitMsMax`, or on a stop. */
  async untilEnough(
    count: number,
    waitMsMax: number,
    { clock, stop }: Pick<MeasureDeps, 'clock' | 'stop'>,
  ): Promise<void> {
    if (this.#tally.requests >= count) return;
    const enough = new AbortController();
    this.#onAdd = () => {
      if (this.#tally.requests >= count) enough.abort();
    };
    await sleep(clock, waitMsMax, AbortSignal.any([stop, enough.signal]));
    this.#onAdd = undefined;
  }
}

function figuresOf(
  { durationMs, tally }: Window,
  { kind }: Level,
  percentile: number | null,
): WindowFigures {
  const { due, latency, succeeded } = tally;
  const throughput = (succeeded * 1_000) / durationMs;
  const latencyMs = percentile === null ? latency.meanMs : latency.quantileMs(percentile);
  return {
    throughput,
    pace: kind === 'concurrency' ? throughput : succeeded / Math.max(1, due),
    latencyMs: succeeded === 0 ? null : latencyMs,
  };
}

function used(before: CpuUse, after: CpuUse): CpuUse {
  return {
    client: after.client - before.client,
    servers: after.servers.map((ms, i) => {
      const earlier = before.servers[i] ?? null;
      // A process that was started again counts from zero.
      return ms === null || earlier === null || ms < earlier ? null : ms - earlier;
    }),
  };
}
