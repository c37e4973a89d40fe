import { catalogueList } from '@inferry/telemetry';
import { expect, test } from 'vitest';
import { boards } from './boards.ts';
import { buildBoard } from './build.ts';
import { knownMetrics, recordingRules, seriesOf } from './known-metrics.ts';
import { checkQuery } from './promql-labels.ts';

const known = knownMetrics();

/** As Grafana puts the variables in. */
function filledIn(expr: string): string {
  return expr
    .replaceAll('$__rate_interval', '1m')
    .replaceAll('$__range', '1h')
    .replaceAll(/\$(?:model|priority|queue|instance)\b/gu, '.*');
}

const queries = boards.flatMap(({ uid, sections }) =>
  sections.flatMap(({ panels }) =>
    panels.flatMap((panel) =>
      panel.queries.map((query) => ({
        at: `${uid} ${panel.id}`,
        panel,
        query,
        checked: checkQuery(filledIn(query.expr), known),
      })),
    ),
  ),
);

test('every metric and label of a query exists, and its sides match', () => {
  const wrong = queries.filter(({ checked }) => checked.problems.length > 0);
  expect(wrong.map(({ at, checked }) => [at, ...checked.problems])).toEqual([]);
});

test('legends and columns are labels of the result, and tell its series apart', () => {
  for (const { at, panel, query, checked } of queries) {
    const named =
      panel.view === 'table'
        ? panel.columns
        : [...(query.legend ?? '').matchAll(/\{\{(\w+)\}\}/gu)].map((match) => match[1]);
    expect([at, named.filter((label) => !checked.labels.has(label ?? ''))]).toEqual([at, []]);
    // Of series of one process, the instance is enough.
    const enough = named.includes('instance') ? ['job', ...named] : named;
    if (panel.view === 'table' || query.mayBeEmpty !== undefined) continue;
    const lost = [...checked.labels].filter((label) => !enough.includes(label));
    expect([at, query.legend, lost]).toEqual([at, query.legend, []]);
  }
});

test('the queue is never summed over gateways, which all tell the same', () => {
  const ofQueue = catalogueList()
    // What workers tell of a queue is their own part.
    .filter(({ labels, roles }) => 'queue' in labels && !roles.some((role) => role === 'worker'))
    .map(({ fullName }) => fullName);
  const raw = queries.filter(({ checked }) => ofQueue.some((name) => checked.metrics.has(name)));
  expect(raw.length).toBeGreaterThan(5);
  for (const { at, query } of raw)
    for (const name of ofQueue) {
      const uses = query.expr.split(new RegExp(`\\b${name}\\b`, 'u')).slice(0, -1);
      for (const before of uses)
        expect([at, before]).toEqual([
          at,
          expect.stringMatching(
            /\b(?:max|min)(?: by \([\w, ]+\) )?\((?:(?:rate|avg_over_time)\()?$/u,
          ),
        ]);
    }
});

test('every metric of the catalogue is on a board, itself or through a recorded series', () => {
  const rules = new Map(recordingRules().map((rule) => [rule.record, rule.expr]));
  const shown = new Set<string>();
  const show = (name: string): void => {
    if (shown.has(name)) return;
    shown.add(name);
    const expr = rules.get(name);
    if (expr !== undefined) checkQuery(expr, known).metrics.forEach(show);
  };
  for (const { checked } of queries) checked.metrics.forEach(show);
  const hidden = catalogueList().filter(
    (metric) => !seriesOf(metric).some((name) => shown.has(name)),
  );
  expect(hidden.map(({ fullName }) => fullName)).toEqual([]);
});

test('choices of variables and marks of all boards name metrics and labels that exist', () => {
  for (const board of boards.map((spec) => buildBoard(spec))) {
    for (const { name, definition } of board.templating.list ?? []) {
      if (name === 'datasource') continue;
      const [, metric = '', label = ''] =
        /^label_values\((.+), (\w+)\)$/u.exec(filledIn(definition ?? '')) ?? [];
      const { labels, problems } = checkQuery(metric, known);
      expect([name, problems, labels.has(label)]).toEqual([name, [], true]);
    }
    for (const { name, expr = '' } of board.annotations.list ?? [])
      expect([name, checkQuery(expr, known).problems]).toEqual([name, []]);
  }
});
