/**
 * The rules of Prometheus and what goes with them: they hold their own tests, name nothing that does not exist,
 * and every alert has a page that says what to do.
 */
import { execFile } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { promisify } from 'node:util';
import { catalogueList } from '@inferry/telemetry';
import { repositoryPath } from '@inferry/testkit';
import { expect, test } from 'vitest';
import { parse } from 'yaml';
import { ensurePrometheus } from '../../../../scripts/ensure-prometheus.mjs';
import { type AlertRule, panelQueries, rulesFile, shippedRules } from './shipped.ts';

const { recording, alerts } = shippedRules();
const { promtool, amtool } = ensurePrometheus();
const testFile = repositoryPath('infra/prometheus/rules_test.yml');
const runbooks = repositoryPath('docs/runbooks');

/** Metrics that others export: Prometheus itself, its client library, redis_exporter. */
const foreign = [
  'ALERTS',
  'process_start_time_seconds',
  'redis_memory_max_bytes',
  'redis_memory_used_bytes',
  'scrape_samples_post_metric_relabeling',
  'up',
];
/** Labels that the scrape adds, that a histogram has, and those that the rules make. */
const scraped = ['instance', 'job', 'le'];
const made = ['reason', 'severity'];

/** Standard output of a tool that ended well. */
const run = async (binary: string, ...argv: string[]): Promise<string> =>
  (await promisify(execFile)(binary, argv)).stdout;

/** Name and labels of everything that may be asked for. */
const known = new Map<string, readonly string[]>([
  ...catalogueList().flatMap(({ fullName, type, labels }) =>
    (type === 'histogram' ? ['_bucket', '_count', '_sum'] : ['']).map(
      (suffix): [string, string[]] => [fullName + suffix, Object.keys(labels)],
    ),
  ),
  ...foreign.map((name): [string, string[]] => [name, []]),
  ...recording.map(({ record, labels = {} }): [string, string[]] => [record, Object.keys(labels)]),
]);

/** The labels that the level of a recorded name promises: `model_stage:...` has model and stage. */
function levelOf(record: string): readonly string[] {
  const level = record.includes(':') ? (record.split(':')[0] ?? '') : '';
  return ['stage_coverage', 'inferry_workers_wanted'].includes(level) ? [] : level.split('_');
}

const metricName =
  /\b(?:[a-z_]+:)?(?:inferry|redis_memory|process|scrape)_[a-z0-9_]+(?::[a-z0-9_]+)?/gu;

test('promtool and amtool accept the shipped files', async () => {
  await run(promtool.path, 'check', 'rules', rulesFile);
  await run(promtool.path, 'check', 'config', repositoryPath('infra/prometheus/prometheus.yml'));
  await run(amtool.path, 'check-config', repositoryPath('infra/alertmanager/alertmanager.yml'));
});

test('the rules pass their tests', async () => {
  expect(await run(promtool.path, 'test', 'rules', testFile)).toContain('SUCCESS');
});

test('every alert is shown to fire, and every one to stay silent', () => {
  const { tests } = parse(readFileSync(testFile, 'utf8')) as {
    readonly tests: readonly {
      readonly promql_expr_test: readonly {
        readonly expr: string;
        readonly exp_samples: readonly { readonly labels: string }[];
      }[];
    }[];
  };
  const fired = tests.map(({ promql_expr_test: asked }) =>
    asked
      .filter(({ expr }) => expr.startsWith('ALERTS'))
      .flatMap(({ exp_samples: samples }) => samples.map(({ labels }) => labels)),
  );
  for (const { alert, annotations } of alerts) {
    const firing = (samples: readonly string[]): readonly string[] =>
      samples.filter((labels) => labels.includes(`alertname="${alert}"`));
    const shown = fired.flatMap(firing);
    expect(shown, `${alert} fires in no test`).not.toEqual([]);
    if (alert !== 'InferryWatchdog') {
      expect(fired.some((samples) => firing(samples).length === 0)).toBe(true);
    }
    // What its texts name is there when it fires.
    const named = Object.values(annotations).flatMap((text) =>
      [...text.matchAll(/\$labels\.(\w+)/gu)].map((match) => match[1] ?? ''),
    );
    for (const name of named) expect(shown[0], alert).toContain(`${name}="`);
  }
});

test('rules ask for metrics of the catalogue, and for labels that these have', () => {
  for (const [rule, expression] of expressions()) {
    const names = [...expression.matchAll(metricName)].map((match) => match[0]);
    const allowed = [...scraped, ...made];
    for (const name of names) {
      expect(known.has(name), `${rule} asks for ${name}`).toBe(true);
      allowed.push(...(known.get(name) ?? []), ...levelOf(name));
    }
    const selected = [...expression.matchAll(/\{([^}]*)\}/gu)].flatMap((match) =>
      [...(match[1] ?? '').matchAll(/(\w+)\s*(?:=|!)/gu)].map((pair) => pair[1] ?? ''),
    );
    const joined = [...expression.matchAll(/\b(?:by|on|group_left)\s*\(([^)]*)\)/gu)].flatMap(
      (match) => (match[1] ?? '').split(',').map((label) => label.trim()),
    );
    // label_replace() makes the model of a queue.
    if (expression.includes('label_replace(')) allowed.push('model');
    const unknown = [...selected, ...joined].filter(
      (label) => label !== '' && !allowed.includes(label),
    );
    expect(unknown, `${rule} asks for labels`).toEqual([]);
  }
});

test('the names of recorded series say what they are made of', () => {
  for (const { record, expr } of recording) {
    const base = /inferry_[a-z0-9_]+/u.exec(record)?.[0] ?? '';
    expect(base, record).not.toBe('');
    // All but sums of nothing have the labels of their level.
    for (const label of levelOf(record).filter(
      (level) => !['reason', 'priority'].includes(level),
    )) {
      const text =
        expr +
        recording
          .filter((other) => expr.includes(other.record))
          .map((r) => r.expr)
          .join(' ');
      expect(text, `${record} has the label ${label}`).toMatch(new RegExp(`\\b${label}\\b`, 'u'));
    }
  }
});

test('the burn rates of all windows are the same but for the window', () => {
  const prefix = 'model_priority:inferry_slo_errors_per_requests:ratio_rate';
  const windows = recording.filter(({ record }) => record.startsWith(prefix));
  const texts = windows.map(({ record, expr }) =>
    expr.replaceAll(`[${record.slice(prefix.length)}]`, '[window]'),
  );
  expect(windows.map(({ record }) => record.slice(prefix.length))).toEqual(
    '5m 30m 1h 2h 6h 1d 3d'.split(' '),
  );
  expect(new Set(texts).size).toBe(1);
  expect(texts[0]?.match(/\[window\]/gu)?.length).toBe(3);
});

test('an alert says how bad it is, what it is, and where to read on', () => {
  for (const { alert, labels, annotations } of alerts) {
    expect(alert).toMatch(/^Inferry[A-Z]/u);
    expect(['page', 'ticket', 'info', 'none'], alert).toContain(labels['severity']);
    expect(annotations, alert).toEqual({
      summary: expect.stringMatching(/\S/u),
      description: expect.stringMatching(/\.$/u),
      runbook_url: `docs/runbooks/${alert}.md`,
    });
  }
  expect(alerts.length).toBeGreaterThanOrEqual(28);
});

test('every alert has its page and no page is without an alert', () => {
  const pages = readdirSync(runbooks).filter((name) => name !== 'README.md');
  expect(pages.toSorted()).toEqual(alerts.map(({ alert }) => `${alert}.md`).toSorted());
  for (const rule of alerts) expectPage(rule);
});

test('panels, settings and commands that a page names exist', () => {
  const titles = new Set(panelQueries().map(({ title }) => title));
  const settings = readFileSync(repositoryPath('.env.example'), 'utf8');
  const commands = readFileSync(repositoryPath('apps/cli/src/commands.ts'), 'utf8');
  for (const { alert } of alerts) {
    const text = readFileSync(`${runbooks}/${alert}.md`, 'utf8').replaceAll('\n', ' ');
    const named = (pattern: RegExp): readonly string[] =>
      [...text.matchAll(pattern)].map((match) => (match[1] ?? '').replaceAll(/\s+/gu, ' '));
    const unknown = [
      ...named(/(?<=[ (])_([^_`]+)_(?=[\s,.:;?!)])/gu).filter((title) => !titles.has(title)),
      ...named(/`(INFERRY_[A-Z_]+)/gu).filter((name) => !settings.includes(`${name}=`)),
      ...named(/`inferry ([a-z-]+)/gu).filter((name) => !commands.includes(name)),
    ];
    expect(unknown, alert).toEqual([]);
  }
});

test('the page for operators lists every alert with its severity', () => {
  const text = readFileSync(repositoryPath('docs/operations.md'), 'utf8');
  const rows = [...text.matchAll(/^\| \[(\w+)\]\(runbooks\/(\w+)\.md\)\s*\| (\w+)/gmu)];
  const listed = rows.map(([, name, page, severity]) => [name, page, severity].join(' '));
  const wanted = alerts.map(({ alert, labels }) => [alert, alert, labels['severity']].join(' '));
  expect(listed.toSorted()).toEqual(wanted.toSorted());
  expect(text).toContain(`${alerts.length} alerts`);
});

test('each severity goes to a receiver of its own, and the watchdog to the deadman', async () => {
  const file = repositoryPath('infra/alertmanager/alertmanager.yml');
  for (const { alert, labels } of alerts) {
    const severity = labels['severity'] ?? '';
    const routes = ['config', 'routes', 'test', `--config.file=${file}`];
    const alertLabels = [`alertname=${alert}`, `severity=${severity}`];
    const told = await run(amtool.path, ...routes, ...alertLabels);
    const receiver = severity === 'none' ? 'deadman' : severity;
    expect(told.trim(), alert).toBe(receiver);
  }
});

test('what alerts silence each other exists', () => {
  const text = readFileSync(repositoryPath('infra/alertmanager/alertmanager.yml'), 'utf8');
  const matchers = [...text.matchAll(/alertname =~? "?([\w()|]+)"?/gu)].map(
    (match) => match[1] ?? '',
  );
  expect(matchers.length).toBeGreaterThan(5);
  for (const matcher of matchers) {
    const [, prefix = matcher, list] = /^(\w+)\(([\w|]+)\)$/u.exec(matcher) ?? [];
    for (const name of list === undefined ? [prefix] : list.split('|').map((end) => prefix + end)) {
      expect(alerts.map(({ alert }) => alert)).toContain(name);
    }
  }
});

/** Every expression of the rules, by what it is for. */
function expressions(): readonly (readonly [string, string])[] {
  return [
    ...recording.map(({ record, expr }) => [record, expr] as const),
    ...alerts.map(({ alert, expr }) => [alert, expr] as const),
  ];
}

const sections = ['Meaning', 'Impact', 'First checks', 'Fix', 'Silence'];

/** A page has its parts, in order, at least three checks, and names only metrics that exist. */
function expectPage({ alert, labels }: AlertRule): void {
  const file = `${runbooks}/${alert}.md`;
  expect(existsSync(file), file).toBe(true);
  const text = readFileSync(file, 'utf8');
  expect(text.split('\n')[0]).toBe(`# ${alert}`);
  expect(text, file).toContain(`Severity: ${labels['severity']}`);
  expect([...text.matchAll(/^## (.+)$/gmu)].map((match) => match[1])).toEqual(sections);
  const checks = text.slice(text.indexOf('## First checks'), text.indexOf('## Fix'));
  expect(
    [...checks.matchAll(/^\d\. /gmu)].length,
    `${file} has three checks`,
  ).toBeGreaterThanOrEqual(3);
  const names = [...text.matchAll(metricName)].map((match) => match[0]);
  const bare = (name: string): boolean => known.has(`${name}_bucket`) || known.has(name);
  expect(
    names.filter((name) => !bare(name)),
    file,
  ).toEqual([]);
}
