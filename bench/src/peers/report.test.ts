import { expect, test } from 'vitest';
import type { Measured } from './measure.ts';
import { linesOf, markdownTable } from './report.ts';

function run(peer: string, cpuMsPerRequest: number, change: Partial<Measured> = {}): Measured {
  return {
    peer,
    cpuMsPerRequest,
    load: { requests: 300, perSecond: 100, p50Ms: 400, p99Ms: 500, maxMs: 510, failed: 0 },
    c1P50Ms: 9,
    peakRssBytes: 2 ** 20,
    startMs: 1_000,
    otherCores: 0,
    breakdown: [],
    ...change,
  };
}

test('rounds of a side become one line: means of times, the worst of maxima, the sum of failures', () => {
  const load = { requests: 300, perSecond: 110, p50Ms: 300, p99Ms: 400, maxMs: 900, failed: 2 };
  const lines = linesOf([
    run('slow', 10),
    run('fast', 4),
    run('slow', 12, { load, peakRssBytes: 3 * 2 ** 20, startMs: 2_000, otherCores: 0.3 }),
  ]);
  expect(lines.map(({ peer }) => peer)).toEqual(['fast', 'slow']);
  expect(lines[1]).toEqual({
    peer: 'slow',
    req_s: 105,
    cpu_ms_per_req: 11,
    p50_ms: 350,
    p99_ms: 450,
    max_ms: 900,
    failed: 2,
    rss_mb: 3,
    start_s: 1.5,
    c1_p50_ms: 9,
    other_cores: 0.3,
  });
});

test('a table has a row a line, its columns as wide as their widest cell', () => {
  const [title, rule, ...rows] = markdownTable(linesOf([run('fastapi-draft', 6.7)])).split('\n');
  expect(title).toMatch(/^\| Side {10}\| req\/s \| CPU ms a request \|/u);
  expect(rule?.length).toBe(title?.length);
  expect(rows).toHaveLength(1);
  expect(rows[0]).toMatch(/^\| fastapi-draft \| 100 {3}\| 6\.7 {14}\| 400 /u);
  expect(rows[0]?.length).toBe(title?.length);
});
