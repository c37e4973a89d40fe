/**
 * A real Prometheus scrapes the real processes, under traffic in which everything happens: every recording rule
 * has a series, every alert can be evaluated and none fires that should not, and every query of every panel
 * returns data. With INFERRY_PANEL_VALUES=<file> it writes what each query returned.
 */
import { rm, writeFile } from 'node:fs/promises';
import { liveResources, waitFor } from '@inferry/testkit';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { inParallel, type RunningRole, System } from '../system.ts';
import { type PrometheusServer, type Sample, startPrometheus } from './prometheus.ts';
import { mayBeEmpty, panelQueries, shippedRules } from './shipped.ts';
import { standIns, startTraffic, tenantSetting, trafficModels } from './traffic.ts';

const queriesAtATime = 8;

let models: string;
let system: System;
let prometheus: PrometheusServer;
let traffic: ReturnType<typeof startTraffic>;

beforeAll(async () => {
  models = await trafficModels();
  system = await System.open({ appendonly: 'everysec' }, { INFERRY_TENANTS: tenantSetting });
  const [firstGateway, secondGateway, ...workers] = await Promise.all([
    system.start('gateway', models),
    system.start('gateway', models),
    system.start('worker', models),
    system.start('worker', models),
  ]);
  const gateways = [firstGateway, secondGateway];
  prometheus = await startPrometheus({
    'inferry-gateway': addresses(gateways),
    'inferry-worker': addresses(workers),
  });
  traffic = startTraffic(gateways, workers);
}, 90_000);

afterAll(async () => {
  await traffic?.stop();
  await prometheus?.[Symbol.asyncDispose]();
  await system?.stop();
  await rm(models, { recursive: true, force: true });
  expect(liveResources()).toEqual([]);
}, 60_000);

function addresses(roles: readonly RunningRole[]): readonly string[] {
  return roles.map(({ metricsUrl }) => new URL(metricsUrl).host);
}

/** 0 / 0 is a series too, but nothing that a panel could show. */
function hasData(samples: readonly Sample[]): boolean {
  return samples.some(({ value }) => !Number.isNaN(value));
}

/** Asks until each of the expressions has data; fails with the list of those that have none. */
async function untilData(expressions: ReadonlyMap<string, string>): Promise<Map<string, Sample[]>> {
  const found = new Map<string, Sample[]>();
  await waitFor(
    async () => {
      const open = [...expressions].filter(([key]) => !found.has(key));
      await inParallel(open, queriesAtATime, async ([key, expression]) => {
        const samples = await prometheus.query(expression);
        if (hasData(samples)) found.set(key, [...samples]);
      });
      const empty = [...expressions].filter(([key]) => !found.has(key));
      if (empty.length > 0) {
        throw new Error(empty.map(([key, text]) => `${key}: ${text}`).join('\n'));
      }
      return true;
    },
    { timeoutMs: 90_000, everyMs: 1_000, what: 'data for every expression' },
  );
  return found;
}

const steady = 'min(time() - process_start_time_seconds) > 75';

test('in the traffic everything happens', async () => {
  const happened = (metric: string, labels = ''): [string, string] => [
    `${metric}{${labels}}`,
    `sum(${metric}{${labels}}) > 0`,
  ];
  const outcomes = ['succeeded', 'failed', 'invalid', 'canceled', 'expired', 'rejected'];
  await untilData(
    new Map([
      ...outcomes.map((outcome) => happened('inferry_requests_total', `outcome="${outcome}"`)),
      ...['high', 'normal', 'low'].map((priority) =>
        happened('inferry_request_duration_seconds_count', `priority="${priority}"`),
      ),
      happened('inferry_late_requests_total'),
      happened('inferry_admission_total', 'reason=~"deadline_infeasible|quota_exceeded"'),
      happened('inferry_admission_total', 'reason="queue_full"'),
      happened('inferry_batch_isolations_total'),
      happened('inferry_batch_elements_total', 'kind="padding"'),
      ['tenants that wait', 'max(inferry_tenants_active) >= 2'],
    ]),
  );
});

test('every recording rule has a series', async () => {
  const rules = shippedRules().recording.map(({ record, labels = {} }): [string, string] => {
    const matchers = Object.entries(labels).map(([name, value]) => `${name}="${value}"`);
    return [`${record}${JSON.stringify(labels)}`, `${record}{${matchers.join(',')}}`];
  });
  await untilData(new Map(rules));
});

test('every query of every panel returns data, but those that may be empty', async () => {
  const queries = panelQueries();
  expect(queries.length).toBeGreaterThan(50);
  const empty = mayBeEmpty(queries);
  expect(empty.unused).toEqual([]);
  const wanted = queries.filter(({ key }) => !empty.keys.has(key));
  const found = await untilData(new Map(wanted.map(({ key, expression }) => [key, expression])));
  // Those that may be empty can at least be evaluated.
  for (const { key, expression } of queries) {
    if (!found.has(key)) found.set(key, [...(await prometheus.query(expression))]);
  }
  const file = process.env['INFERRY_PANEL_VALUES'];
  if (file === undefined) return;
  // For the page, as they are once traffic has gone on for longer than the rates look back.
  await waitFor(async () => (await prometheus.query(steady)).length > 0, {
    timeoutMs: 90_000,
    everyMs: 1_000,
    what: 'a steady state',
  });
  for (const { key, expression } of wanted) {
    const samples = await prometheus.query(expression);
    if (hasData(samples)) found.set(key, [...samples]);
  }
  await writeFile(file, `${JSON.stringify(values(found), null, 2)}\n`);
});

test('every rule is evaluated, and no alert fires but the watchdog', async () => {
  const { recording, alerts } = shippedRules();
  const rules = await prometheus.rules();
  expect(rules.length).toBe(recording.length + alerts.length);
  expect(rules.filter(({ health }) => health !== 'ok')).toEqual([]);
  const raised = rules.flatMap(({ alerts = [] }) => alerts);
  const firing = raised
    .filter(({ state }) => state === 'firing')
    .map(({ labels }) => labels)
    .filter((labels) => !isExplained(labels));
  expect(firing).toEqual([{ alertname: 'InferryWatchdog', severity: 'none' }]);
});

/** The traffic spends the error budget of its stand-ins on purpose; on a slow machine for long enough to be told. */
function isExplained({ alertname, model }: Sample['labels']): boolean {
  return alertname === 'InferryErrorBudgetBurnFast' && standIns.includes(model ?? '');
}

/** For docs/panels.md: how many series each query returned, and one of them. */
function values(found: ReadonlyMap<string, readonly Sample[]>): Record<string, unknown> {
  return Object.fromEntries(
    [...found].map(([key, samples]) => {
      const example = samples.find(({ value }) => Math.abs(value) > 0) ?? samples[0];
      return [key, { series: samples.length, example: example && text(example) }];
    }),
  );
}

function text({ labels, value }: Sample): string {
  const { __name__: name = '', ...rest } = labels;
  const pairs = Object.entries(rest).map(([label, content]) => `${label}="${content}"`);
  return `${name}{${pairs.join(', ')}} = ${Number(value.toPrecision(4))}`;
}
