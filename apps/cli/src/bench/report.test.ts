import { expect, test } from 'vitest';
import { csvOf } from './csv.ts';
import type { Measurement } from './measure.ts';
import { optionsOf } from './options.fixture.ts';
import { benchReport, errorShare, levelReport } from './report.ts';
import { headline, levelText, sweepText, warningsOf } from './tables.ts';
import { type Sample, Tally } from './tally.ts';

function sample(latencyMs: number, more: Partial<Sample> = {}): Sample {
  const stages = new Map([
    ['compute', latencyMs / 2],
    ['total', latencyMs],
  ]);
  const facts = { stages, batchRows: 2, overtakenBy: 1, lateMs: 0 };
  return { status: 200, code: null, isSuccess: true, latencyMs, ...facts, ...more };
}

const refused = sample(1, {
  status: 503,
  code: 'queue_full',
  isSuccess: false,
  stages: new Map(),
  batchRows: null,
  overtakenBy: null,
});

function tallyOf(samples: readonly Sample[]): Tally {
  const tally = new Tally();
  for (const one of samples) tally.add(one);
  return tally;
}

const measurement: Measurement = {
  level: { kind: 'concurrency', value: 4 },
  end: 'stable',
  figures: [
    { throughput: 1, pace: 1, latencyMs: null },
    { throughput: 1.5, pace: 1.5, latencyMs: 20 },
  ],
  discarded: { requests: 5, errors: 3 },
  windows: [
    {
      durationMs: 1_000,
      tally: tallyOf([sample(10), sample(20)]),
      cpuMs: { client: 900, servers: [30, 40] },
    },
    {
      durationMs: 1_000,
      tally: tallyOf([sample(30), refused]),
      cpuMs: { client: 940, servers: [50, null] },
    },
  ],
};
const urls = [new URL('http://a:1/metrics'), new URL('http://b:2/metrics')];
const level = levelReport(measurement, urls);

// Quantiles come from a histogram, whose buckets are a thousandth wide.
test('the windows that are reported are put together', () => {
  expect(level).toMatchObject({
    load: 'concurrency',
    value: 4,
    end: 'stable',
    duration_s: 2,
    requests: 4,
    succeeded: 3,
    errors: 1,
    discarded_requests: 5,
    discarded_errors: 3,
    throughput: 1.5,
    latency_ms: { mean: 20, p50: 20.02, p99: 30, min: 10, max: 30 },
    statuses: [
      { status: 200, code: null, requests: 3, max_ms: 30 },
      { status: 503, code: 'queue_full', requests: 1, max_ms: 1 },
    ],
    stages: [
      { stage: 'compute', count: 3, mean_ms: 10, max_ms: 15 },
      { stage: 'total', count: 3, mean_ms: 20, max_ms: 30 },
    ],
    batch_rows_mean: 2,
    batch_rows_max: 2,
    overtakes: 3,
    server_cpu_ms_per_request: [
      { url: 'http://a:1/metrics', cpu_ms: 20 },
      { url: 'http://b:2/metrics', cpu_ms: null },
    ],
    client_cpu_share: 0.92,
  });
});

test('the share of errors is that of everything that was measured', () => {
  expect(errorShare([level])).toBeCloseTo(4 / 9);
  expect(errorShare([])).toBe(0);
});

const report = benchReport(optionsOf('m@2 --url http://h/x --concurrency 4'), {
  startedAtMs: 0,
  inputs: 1,
  levels: [level, { ...level, value: 8, end: 'not_stable', latency_ms: null, stages: [] }],
});

test('the document says what was asked, and of whom', () => {
  expect(JSON.parse(JSON.stringify(report))).toMatchObject({
    schema: 1,
    model: 'm@2',
    url: 'http://h/x',
    started_at: '1970-01-01T00:00:00.000Z',
    options: { window_ms: 5_000, stability: 0.1 },
  });
});

test('CSV has a line of names and one a load, with nothing where nothing is known', () => {
  const lines = csvOf(report).split('\r\n');
  expect(lines).toHaveLength(4);
  const [names, first, second] = lines.map((line) => line.split(','));
  const cell = (row: readonly string[] | undefined, name: string) => row?.[names!.indexOf(name)];
  expect(cell(first, 'model')).toBe('m@2');
  expect(cell(first, 'throughput')).toBe('1.5');
  expect(cell(first, 'compute_mean_ms')).toBe('10');
  expect(cell(first, 'server_cpu_ms_per_request')).toBe('');
  expect(cell(second, 'value')).toBe('8');
  expect(cell(second, 'p99_ms')).toBe('');
  expect(cell(second, 'compute_mean_ms')).toBe('');
  expect(csvOf({ ...report, model: 'a "b", c' })).toContain('"a ""b"", c",http://h/x');
});

test('the tables show requests, statuses, stages and facts, in columns', () => {
  expect(`${headline(report)}${levelText(level)}`).toBe(
    `m@2 at http://h/x, job API, 1 input

concurrency 4: stable after 2 windows, the last three are shown (2 s)

  requests  req/s  mean ms   std    p50  p90  p95  p99  max
         4   1.50       20  8.16  20.02   30   30   30   30

  status  code        requests  share   mean ms  p99 ms  max ms
  200                        3  75.0 %       20      30      30
  503     queue_full         1  25.0 %        1       1       1

  stage    count  mean ms  std ms  median ms  p99 ms  min ms  max ms
  compute      3       10    4.08      10.01      15       5      15
  total        3       20    8.16      20.02      30      10      30

  rows that ran together: 2 on average, 2 at most
  later requests claimed earlier: 3
  errors in the windows before: 3 of 5 requests
  CPU a request at http://a:1/metrics: 20 ms
  CPU a request at http://b:2/metrics: not known
  CPU of this client: 92 % of a core
`,
  );
});

test('a sweep has a line a load', () => {
  expect(sweepText(report.levels).split('\n').slice(2)).toEqual([
    '            4   1.50       20  20.02   30   30   30       1  stable',
    '            8   1.50        -      -    -    -    -       1  not stable',
    '',
  ]);
});

test('a load that was not stable, failed or was interrupted says so', () => {
  const text = (end: Measurement['end']): string => levelText({ ...level, end });
  expect(text('not_stable')).toContain('NOT STABLE after 2 windows');
  expect(text('failed')).toContain('nothing succeeded');
  expect(text('interrupted')).toContain('interrupted after 2 s');
  const nothing = levelReport({ ...measurement, end: 'interrupted', windows: [] }, []);
  expect(levelText(nothing)).toBe('\nconcurrency 4: interrupted after 0 s\n');
});

test('a client that is the limit is told, and one that sends late', () => {
  expect(warningsOf(level)).toEqual([
    'concurrency 4: this client used 92 % of a core, it may be the limit',
  ]);
  const late = { ...level, client_cpu_share: 0.1, late_p99_ms: 12 };
  expect(warningsOf(late)[0]).toContain('sent requests up to 12 ms late');
  expect(warningsOf({ ...late, late_p99_ms: 9 })).toEqual([]);
});
