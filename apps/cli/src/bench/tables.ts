/** Reports as text for a terminal. */
import type { BenchReport, LevelReport } from './report.ts';

type Cell = string | number | null;

/** Above this the client may be what was measured: a share of one core, and ms of the 99th percentile. */
const clientShareMax = 0.8;
const lateMsMax = 10;
const lateShareMax = 0.1;

/** The sentence in front of everything. */
export function headline({ model, url, api, inputs }: Omit<BenchReport, 'levels'>): string {
  const many = inputs === 1 ? '1 input' : `${inputs} inputs in turn`;
  return `${model} at ${url}, ${api === 'jobs' ? 'job API' : 'v2 infer'}, ${many}\n`;
}

/** `concurrency 8`, `50 requests a second` */
export function levelName({ load, value }: Pick<LevelReport, 'load' | 'value'>): string {
  return load === 'concurrency' ? `concurrency ${value}` : `${value} requests a second`;
}

/** What is told of one load once it was measured. */
export function levelText(report: LevelReport): string {
  const lines = ['', `${levelName(report)}: ${endText(report)}`];
  if (report.requests === 0) return `${lines.join('\n')}\n`;
  lines.push(
    '',
    ...table(
      ['requests', 'req/s', ...latencyNames],
      [[report.requests, report.throughput, ...latencyCells(report)]],
    ),
  );
  lines.push(
    '',
    ...table(
      ['status', 'code', 'requests', 'share', 'mean ms', 'p99 ms', 'max ms'],
      report.statuses.map(({ status, code, requests, mean_ms, p99_ms, max_ms }) => [
        status === null ? 'none' : String(status),
        code ?? '',
        requests,
        `${((100 * requests) / report.requests).toFixed(1)} %`,
        mean_ms,
        p99_ms,
        max_ms,
      ]),
    ),
  );
  if (report.stages.length > 0) {
    lines.push(
      '',
      ...table(
        ['stage', 'count', 'mean ms', 'std ms', 'median ms', 'p99 ms', 'min ms', 'max ms'],
        report.stages.map((one) => [
          one.stage,
          one.count,
          one.mean_ms,
          one.std_ms,
          one.median_ms,
          one.p99_ms,
          one.min_ms,
          one.max_ms,
        ]),
      ),
    );
  }
  const facts = factLines(report);
  if (facts.length > 0) lines.push('', ...facts);
  return `${lines.join('\n')}\n`;
}

/** What fits into 80 columns; the rest stands in the table of each load. */
const sweepLatencies = ['mean', 'p50', 'p95', 'p99', 'max'] as const;

/** One line a load: the sweep. The loads of one run are of one kind. */
export function sweepText(levels: readonly LevelReport[]): string {
  const rows = levels.map(({ end, errors, latency_ms: latency, throughput, value }) => [
    value,
    throughput,
    ...sweepLatencies.map((key) => latency?.[key] ?? null),
    errors,
    end.replace('_', ' '),
  ]);
  const load = levels[0]?.load === 'concurrency' ? 'concurrency' : 'due/s';
  const names = [load, 'req/s', 'mean ms', ...sweepLatencies.slice(1), 'errors', 'end'];
  return `\n${table(names, rows).join('\n')}\n`;
}

/** What makes the figures doubtful, in sentences. */
export function warningsOf(report: LevelReport): readonly string[] {
  const name = levelName(report);
  const warnings: string[] = [];
  if (report.client_cpu_share > clientShareMax) {
    const percent = Math.round(report.client_cpu_share * 100);
    warnings.push(`${name}: this client used ${percent} % of a core, it may be the limit`);
  }
  const p99 = report.latency_ms?.p99 ?? 0;
  if (report.late_p99_ms > Math.max(lateMsMax, lateShareMax * p99)) {
    warnings.push(
      `${name}: this client sent requests up to ${report.late_p99_ms} ms late (p99), which counts as latency`,
    );
  }
  return warnings;
}

function endText({ end, windows, duration_s }: LevelReport): string {
  const count = windows.length === 1 ? '1 window' : `${windows.length} windows`;
  switch (end) {
    case 'stable':
      return `stable after ${count}, the last three are shown (${duration_s} s)`;
    case 'not_stable':
      return `NOT STABLE after ${count}, the last of them are shown (${duration_s} s)`;
    case 'failed':
      return `stopped after ${count}: nothing succeeded`;
    case 'interrupted':
      return `interrupted after ${duration_s} s`;
  }
}

function factLines(report: LevelReport): readonly string[] {
  const { batch_rows_mean, batch_rows_max, overtakes, discarded_errors: errors } = report;
  const cpu = report.server_cpu_ms_per_request;
  const facts = [
    batch_rows_mean !== null &&
      `rows that ran together: ${batch_rows_mean} on average, ${batch_rows_max} at most`,
    overtakes !== null && `later requests claimed earlier: ${overtakes}`,
    errors > 0 &&
      `errors in the windows before: ${errors} of ${report.discarded_requests} requests`,
    ...cpu.map(
      ({ url, cpu_ms }) =>
        `CPU a request at ${url}: ${cpu_ms === null ? 'not known' : `${cpu_ms} ms`}`,
    ),
    `CPU of this client: ${Math.round(report.client_cpu_share * 100)} % of a core`,
  ];
  return facts.filter((fact) => fact !== false).map((fact) => `  ${fact}`);
}

const latencyNames = ['mean ms', 'std', 'p50', 'p90', 'p95', 'p99', 'max'];

function latencyCells({ latency_ms: latency }: LevelReport): readonly Cell[] {
  if (latency === null) return latencyNames.map(() => null);
  const { mean, std, p50, p90, p95, p99, max } = latency;
  return [mean, std, p50, p90, p95, p99, max];
}

/** Numbers to the right, words to the left; a dash for what is not known. */
function table(names: readonly string[], rows: readonly (readonly Cell[])[]): readonly string[] {
  const columns = names.map((name, i) =>
    columnOf(
      name,
      rows.map((row) => row[i] ?? null),
    ),
  );
  return Array.from({ length: rows.length + 1 }, (_, line) =>
    `  ${columns.map((column) => column[line] ?? '').join('  ')}`.trimEnd(),
  );
}

/** A name and the cells below it, as wide as the widest; with a fraction in all cells or in none. */
function columnOf(name: string, cells: readonly Cell[]): readonly string[] {
  const digits = cells.every((cell) => typeof cell !== 'number' || Number.isInteger(cell)) ? 0 : 2;
  const texts = cells.map((cell) => {
    if (cell === null) return '-';
    return typeof cell === 'number' ? cell.toFixed(digits) : cell;
  });
  const width = Math.max(name.length, ...texts.map(({ length }) => length));
  const isWords = cells.every((cell) => typeof cell === 'string');
  return [name, ...texts].map((text) => (isWords ? text.padEnd(width) : text.padStart(width)));
}
