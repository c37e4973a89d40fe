/** What a process tells on its port for operators, and what is expected of it. */
import { spawnSync } from 'node:child_process';
import { catalogueList, type MetricRole, type MovedBy, parseExposition } from '@inferry/telemetry';
import { expect } from 'vitest';
import { ensurePrometheus } from '../../../../scripts/ensure-prometheus.mjs';

export type Samples = ReadonlyMap<string, number>;

export async function exposition(metricsUrl: string): Promise<string> {
  const response = await fetch(`${metricsUrl}/metrics`);
  expect(response.status).toBe(200);
  return response.text();
}

export async function scrape(metricsUrl: string): Promise<Samples> {
  return parseExposition(await exposition(metricsUrl));
}

/** What Prometheus's own tool finds wrong with an exposition, without what is not ours. */
export function complaints(text: string): readonly string[] {
  const { path } = ensurePrometheus().promtool;
  const { stderr, stdout } = spawnSync(path, ['check', 'metrics'], {
    input: text,
    encoding: 'utf8',
    timeout: 20_000,
  });
  // Gauges of the library whose names end like those of counters.
  const known = /^nodejs_active_(?:handles|requests|resources)_total /u;
  return `${stdout}\n${stderr}`.split('\n').filter((line) => line !== '' && !known.test(line));
}

/** A series of the metric has another value than before; one that was not there counts as 0. */
export function hasMoved(name: string, before: Samples, after: Samples): boolean {
  const series = new RegExp(`^${name}(?:_bucket|_sum|_count)?(?:\\{|$)`, 'u');
  return [...after].some(([key, value]) => series.test(key) && value !== (before.get(key) ?? 0));
}

/** Names of the metrics of the role that the event moves. */
export function movedBy(event: MovedBy, role: MetricRole): readonly string[] {
  return catalogueList()
    .filter((spec) => spec.movedBy === event && spec.roles.includes(role))
    .map(({ fullName }) => fullName);
}
