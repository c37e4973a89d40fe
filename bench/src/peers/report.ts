/** What a comparison has shown: one line a side, as JSON or as a table. */
import type { Measured } from './measure.ts';

/** One side over all its rounds. Times of the runs are means, the longest answer and the memory are the largest. */
export interface Line {
  readonly peer: string;
  readonly req_s: number;
  readonly cpu_ms_per_req: number;
  readonly p50_ms: number;
  readonly p99_ms: number;
  readonly max_ms: number;
  readonly failed: number;
  readonly rss_mb: number;
  readonly start_s: number;
  readonly c1_p50_ms: number;
  readonly other_cores: number;
}

const columns: readonly { readonly key: keyof Line; readonly title: string }[] = [
  { key: 'peer', title: 'Side' },
  { key: 'req_s', title: 'req/s' },
  { key: 'cpu_ms_per_req', title: 'CPU ms a request' },
  { key: 'p50_ms', title: 'p50 ms' },
  { key: 'p99_ms', title: 'p99 ms' },
  { key: 'max_ms', title: 'Max ms' },
  { key: 'failed', title: 'Failed' },
  { key: 'c1_p50_ms', title: 'p50 ms alone' },
  { key: 'rss_mb', title: 'Peak MB' },
  { key: 'start_s', title: 'Start s' },
];

/** Sides in the order of their CPU time, the cheapest first. */
export function linesOf(runs: readonly Measured[]): readonly Line[] {
  const names = [...new Set(runs.map(({ peer }) => peer))];
  return names
    .map((name) =>
      lineOf(
        name,
        runs.filter(({ peer }) => peer === name),
      ),
    )
    .toSorted((a, b) => a.cpu_ms_per_req - b.cpu_ms_per_req);
}

function lineOf(peer: string, runs: readonly Measured[]): Line {
  const mean = (value: (run: Measured) => number): number =>
    runs.reduce((sum, run) => sum + value(run), 0) / runs.length;
  const most = (value: (run: Measured) => number): number => Math.max(...runs.map(value));
  return {
    peer,
    req_s: rounded(
      mean(({ load }) => load.perSecond),
      1,
    ),
    cpu_ms_per_req: rounded(
      mean(({ cpuMsPerRequest }) => cpuMsPerRequest),
      2,
    ),
    p50_ms: rounded(
      mean(({ load }) => load.p50Ms),
      1,
    ),
    p99_ms: rounded(
      mean(({ load }) => load.p99Ms),
      1,
    ),
    max_ms: rounded(
      most(({ load }) => load.maxMs),
      1,
    ),
    failed: runs.reduce((sum, { load }) => sum + load.failed, 0),
    rss_mb: rounded(most(({ peakRssBytes }) => peakRssBytes) / 2 ** 20, 0),
    start_s: rounded(mean(({ startMs }) => startMs) / 1_000, 2),
    c1_p50_ms: rounded(
      mean(({ c1P50Ms }) => c1P50Ms),
      1,
    ),
    other_cores: rounded(
      most(({ otherCores }) => otherCores),
      2,
    ),
  };
}

export function markdownTable(lines: readonly Line[]): string {
  const rows = lines.map((line) => columns.map(({ key }) => String(line[key])));
  const titles = columns.map(({ title }) => title);
  const widths = titles.map((title, i) =>
    Math.max(title.length, ...rows.map((row) => row[i]?.length ?? 0)),
  );
  const row = (cells: readonly string[]): string =>
    `| ${cells.map((cell, i) => cell.padEnd(widths[i] ?? 0)).join(' | ')} |`;
  const rule = `| ${widths.map((width) => '-'.repeat(width)).join(' | ')} |`;
  return [row(titles), rule, ...rows.map(row)].join('\n');
}

function rounded(value: number, digits: number): number {
  return Number(value.toFixed(digits));
}
