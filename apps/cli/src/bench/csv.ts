/** One line a load, with the same columns in each (RFC 4180). */
import type { BenchReport, LevelReport } from './report.ts';

type Cell = string | number | null;

/** With a line of names; stages are columns with the mean of each. */
export function csvOf({ model, url, api, levels }: BenchReport): string {
  const stages = [...new Set(levels.flatMap((level) => level.stages.map(({ stage }) => stage)))];
  const rows = levels.map((level) => ({ model, url, api, ...columnsOf(level, stages) }));
  const names = Object.keys(rows[0] ?? {});
  const lines = rows.map((row) => Object.values<Cell>(row).map(cellText).join(','));
  return [names.map(cellText).join(','), ...lines].map((line) => `${line}\r\n`).join('');
}

function columnsOf(level: LevelReport, stages: readonly string[]): Record<string, Cell> {
  const { latency_ms: latency, server_cpu_ms_per_request: servers } = level;
  const cpu = servers.map(({ cpu_ms }) => cpu_ms);
  return {
    load: level.load,
    value: level.value,
    end: level.end,
    requests: level.requests,
    errors: level.errors,
    throughput: level.throughput,
    mean_ms: latency?.mean ?? null,
    std_ms: latency?.std ?? null,
    p50_ms: latency?.p50 ?? null,
    p90_ms: latency?.p90 ?? null,
    p95_ms: latency?.p95 ?? null,
    p99_ms: latency?.p99 ?? null,
    max_ms: latency?.max ?? null,
    batch_rows_mean: level.batch_rows_mean,
    overtakes: level.overtakes,
    server_cpu_ms_per_request:
      cpu.length === 0 || cpu.includes(null)
        ? null
        : Math.round(cpu.reduce<number>((sum, ms) => sum + (ms ?? 0), 0) * 100) / 100,
    client_cpu_share: level.client_cpu_share,
    ...Object.fromEntries(
      stages.map((stage) => [
        `${stage}_mean_ms`,
        level.stages.find((one) => one.stage === stage)?.mean_ms ?? null,
      ]),
    ),
  };
}

function cellText(cell: Cell): string {
  const text = cell === null ? '' : String(cell);
  return /[",\r\n]/u.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
