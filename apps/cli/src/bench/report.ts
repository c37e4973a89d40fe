/** A measurement as figures: what the JSON document, the CSV lines and the tables are made of. */
import type { Durations, DurationSummary } from '@inferry/telemetry';
import type { Measurement } from './measure.ts';
import type { BenchOptions } from './options.ts';
import { Tally } from './tally.ts';

interface LatencyReport {
  readonly mean: number;
  readonly std: number;
  readonly p50: number;
  readonly p90: number;
  readonly p95: number;
  readonly p99: number;
  readonly min: number;
  readonly max: number;
}

interface StatusReport {
  /** Null where there was no answer. */
  readonly status: number | null;
  readonly code: string | null;
  readonly requests: number;
  /** Null where nothing was sent. */
  readonly mean_ms: number | null;
  readonly p99_ms: number | null;
  readonly max_ms: number | null;
}

interface StageReport extends DurationSummary {
  readonly stage: string;
}

/** Of the last three windows together, unless it says otherwise. Durations in ms, rates a second. */
export interface LevelReport {
  readonly load: 'concurrency' | 'request_rate';
  readonly value: number;
  readonly end: Measurement['end'];
  /** Every window, also those before the last three. */
  readonly windows: readonly { readonly throughput: number; readonly latency_ms: number | null }[];
  readonly duration_s: number;
  readonly requests: number;
  readonly succeeded: number;
  readonly errors: number;
  readonly discarded_requests: number;
  readonly discarded_errors: number;
  /** Successes a second. */
  readonly throughput: number;
  /** Of successes, from the instant each was due; null where nothing succeeded. */
  readonly latency_ms: LatencyReport | null;
  readonly statuses: readonly StatusReport[];
  readonly stages: readonly StageReport[];
  readonly batch_rows_mean: number | null;
  readonly batch_rows_max: number | null;
  readonly overtakes: number | null;
  /** For each request that ended, by process. */
  readonly server_cpu_ms_per_request: readonly {
    readonly url: string;
    readonly cpu_ms: number | null;
  }[];
  /** Of one core. */
  readonly client_cpu_share: number;
  /** How much later than due requests were sent: the client's own doing. */
  readonly late_p99_ms: number;
}

export interface BenchReport {
  /** Grows when a member changes its meaning. */
  readonly schema: 1;
  readonly model: string;
  readonly url: string;
  readonly api: 'jobs' | 'v2';
  readonly started_at: string;
  readonly inputs: number;
  readonly options: {
    readonly arrivals: 'poisson' | 'constant';
    readonly warmup_ms: number;
    readonly window_ms: number;
    readonly max_windows: number;
    readonly stability: number;
    readonly percentile: number | null;
    readonly timeout_ms: number;
    readonly in_flight_max: number;
    readonly seed: number;
  };
  readonly levels: readonly LevelReport[];
}

export function levelReport(measurement: Measurement, metricsUrls: readonly URL[]): LevelReport {
  const { level, end, windows, figures, discarded } = measurement;
  const tally = new Tally();
  for (const window of windows) tally.merge(window.tally);
  const durationMs = windows.reduce((sum, window) => sum + window.durationMs, 0);
  const clientCpuMs = windows.reduce((sum, { cpuMs }) => sum + cpuMs.client, 0);
  const { batchRows, latency } = tally;
  return {
    load: level.kind,
    value: level.value,
    end,
    windows: figures.map(({ throughput, latencyMs }) => ({
      throughput: rounded(throughput),
      latency_ms: latencyMs === null ? null : rounded(latencyMs),
    })),
    duration_s: rounded(durationMs / 1_000),
    requests: tally.requests,
    succeeded: tally.succeeded,
    errors: tally.errors,
    discarded_requests: discarded.requests,
    discarded_errors: discarded.errors,
    throughput: rounded(ratio(tally.succeeded * 1_000, durationMs)),
    latency_ms: latency.count === 0 ? null : latencyReport(latency),
    statuses: [...tally.outcomes.values()]
      .toSorted((a, b) => b.requests - a.requests)
      .map(({ status, code, requests, latency: durations }) => {
        const sent = durations.count === 0 ? null : durations.summary();
        const [mean_ms, p99_ms, max_ms] = [sent?.mean_ms, sent?.p99_ms, sent?.max_ms];
        return {
          status,
          code,
          requests,
          mean_ms: mean_ms ?? null,
          p99_ms: p99_ms ?? null,
          max_ms: max_ms ?? null,
        };
      }),
    stages: [...tally.stages].map(([stage, durations]) => ({ stage, ...durations.summary() })),
    batch_rows_mean: batchRows.count === 0 ? null : rounded(batchRows.sum / batchRows.count),
    batch_rows_max: batchRows.count === 0 ? null : batchRows.max,
    overtakes: tally.overtakes,
    server_cpu_ms_per_request: metricsUrls.map((url, i) => ({
      url: url.href,
      cpu_ms: serverCpu(measurement, i, tally.requests),
    })),
    client_cpu_share: rounded(ratio(clientCpuMs, durationMs)),
    late_p99_ms: rounded(tally.lateness.quantileMs(0.99)),
  };
}

/** Share of everything that was measured, discarded windows included. */
export function errorShare(levels: readonly LevelReport[]): number {
  const sum = (of: (level: LevelReport) => number): number =>
    levels.reduce((total, level) => total + of(level), 0);
  const errors = sum((level) => level.errors + level.discarded_errors);
  return ratio(
    errors,
    sum((level) => level.requests + level.discarded_requests),
  );
}

export function benchReport(
  options: BenchOptions,
  {
    startedAtMs,
    inputs,
    levels,
  }: {
    readonly startedAtMs: number;
    readonly inputs: number;
    readonly levels: readonly LevelReport[];
  },
): BenchReport {
  return {
    schema: 1,
    model: options.version === null ? options.model : `${options.model}@${options.version}`,
    url: `${options.origin}${options.basePath}`,
    api: options.api,
    started_at: new Date(startedAtMs).toISOString(),
    inputs,
    options: {
      arrivals: options.arrivals,
      warmup_ms: options.warmupMs,
      window_ms: options.windowMs,
      max_windows: options.windowsMax,
      stability: options.stability,
      percentile: options.percentile,
      timeout_ms: options.timeoutMs,
      in_flight_max: options.inFlightMax,
      seed: options.seed,
    },
    levels,
  };
}

function latencyReport(durations: Durations): LatencyReport {
  return {
    mean: rounded(durations.meanMs),
    std: rounded(durations.stdMs),
    p50: rounded(durations.quantileMs(0.5)),
    p90: rounded(durations.quantileMs(0.9)),
    p95: rounded(durations.quantileMs(0.95)),
    p99: rounded(durations.quantileMs(0.99)),
    min: rounded(durations.minMs),
    max: rounded(durations.maxMs),
  };
}

/** Null where one of the windows does not know it. */
function serverCpu({ windows }: Measurement, index: number, requests: number): number | null {
  const parts = windows.map(({ cpuMs }) => cpuMs.servers[index] ?? null);
  if (requests === 0 || parts.includes(null)) return null;
  return rounded(parts.reduce<number>((sum, ms) => sum + (ms ?? 0), 0) / requests);
}

function ratio(value: number, by: number): number {
  return by === 0 ? 0 : value / by;
}

/** To a hundredth. */
function rounded(value: number): number {
  return Math.round(value * 100) / 100;
}
