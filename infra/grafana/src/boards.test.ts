import type { Panel, RowPanel } from '@grafana/grafana-foundation-sdk/dashboard';
import * as units from '@grafana/grafana-foundation-sdk/units';
import { expect, test } from 'vitest';
import { boards } from './boards.ts';
import { buildBoard } from './build.ts';
import type { Query } from './spec.ts';

interface Target {
  readonly refId: string;
  readonly expr: string;
  readonly legendFormat: string;
  readonly exemplar?: boolean;
  readonly datasource: unknown;
}

const built = boards.map((board) => buildBoard(board));
const panels = built.flatMap((board) =>
  (board.panels ?? []).flatMap((panel) =>
    isRow(panel)
      ? []
      : [{ ...panel, at: `${board.uid} ${panel.id} ${panel.title}`, targets: targetsOf(panel) }],
  ),
);
const targets = panels.flatMap((panel) =>
  panel.targets.map((target) => ({
    ...target,
    view: panel.type,
    at: `${panel.at} ${target.refId}`,
  })),
);

test('there are five boards, linked with each other by one tag', () => {
  const names = ['overview', 'model', 'worker', 'queue', 'slo'].map((name) => `inferry-${name}`);
  expect(built.map(({ uid }) => uid)).toEqual(names);
  expect(new Set(built.map(({ title }) => title)).size).toBe(built.length);
  for (const { tags, links, refresh } of built) {
    expect(tags).toEqual(['inferry']);
    expect(links).toMatchObject([
      { type: 'dashboards', tags: ['inferry'], includeVars: true, keepTime: true },
    ]);
    expect(refresh).toBe('10s');
  }
});

test('a board has the data source as a variable, and no other is named', () => {
  for (const { templating } of built) {
    const [first, ...rest] = templating.list ?? [];
    expect(first).toMatchObject({ type: 'datasource', name: 'datasource', query: 'prometheus' });
    for (const variable of rest)
      expect(variable).toMatchObject({
        type: 'query',
        multi: true,
        includeAll: true,
        allValue: '.*',
        datasource: { uid: '${datasource}' },
      });
  }
  const sources = [...panels, ...targets].map(({ datasource }) => datasource);
  expect(new Set(sources.map((source) => JSON.stringify(source)))).toEqual(
    new Set(['{"type":"prometheus","uid":"${datasource}"}']),
  );
});

test('each variable of a board is used by one of its queries, and no query uses another', () => {
  for (const { uid, variables, sections } of boards) {
    const text = sections.flatMap(({ panels }) => queriesOf(panels)).join('\n');
    const used = new Set([...text.matchAll(/\$(?!__)(\w+)/gu)].map(([, name]) => name));
    expect([uid, used]).toEqual([uid, new Set(variables)]);
  }
});

test('panels have fixed ids, unique in their board, and lie side by side without overlap', () => {
  for (const { uid, panels: all = [] } of built) {
    const ids = all.map(({ id }) => id);
    expect([uid, new Set(ids).size]).toEqual([uid, all.length]);
    expect(ids.every((id) => Number.isInteger(id))).toBe(true);
    const taken = new Map<string, number | undefined>();
    for (const { id, gridPos = { x: 0, y: 0, w: 0, h: 0 } } of all) {
      const { x, y, w, h } = gridPos;
      expect([uid, id, w > 0 && h > 0 && x >= 0 && x + w <= 24]).toEqual([uid, id, true]);
      for (let column = x; column < x + w; column += 1)
        for (let line = y; line < y + h; line += 1) {
          expect([uid, id, taken.get(`${column} ${line}`)]).toEqual([uid, id, undefined]);
          taken.set(`${column} ${line}`, id);
        }
    }
  }
});

test('every panel says what it tells, and in a unit that Grafana has', () => {
  const known = new Set<unknown>(Object.values(units));
  for (const { at, title, description, fieldConfig } of panels) {
    expect([at, (title ?? '').length > 2]).toEqual([at, true]);
    expect([at, /^[A-Z].{15,}\.$/u.test(description ?? '')]).toEqual([at, true]);
    expect([at, known.has(fieldConfig?.defaults.unit ?? '')]).toEqual([at, true]);
  }
});

test('lines and states have a legend that is shown, and every series a name in it', () => {
  for (const { at, type, options } of panels) {
    if (type !== 'timeseries' && type !== 'state-timeline') continue;
    const { legend } = options as { legend: { showLegend: boolean } };
    expect([at, legend.showLegend]).toEqual([at, true]);
  }
  const unnamed = targets.filter(
    ({ view, legendFormat }) => view !== 'table' && legendFormat === '__auto',
  );
  expect(unnamed.map(({ at }) => at)).toEqual([]);
});

test('rates follow the scrape interval and the zoom, unless a length is part of the title or text', () => {
  const fixed = /\[(?!\$__(?:rate_interval|range)\])[^\]]+\]/u;
  const allowed = ['inferry-model 2', 'inferry-slo 2', 'inferry-slo 3'];
  const found = targets.filter(({ expr }) => fixed.test(expr)).map(({ at }) => at);
  expect(found.map((at) => at.split(' ').slice(0, 2).join(' '))).toEqual(allowed);
});

test('traces are shown where there are exemplars, and only there', () => {
  const timed = /inferry_(?:request|stage)_duration_seconds_bucket/u;
  const isLatency = ({ expr, view }: (typeof targets)[number]): boolean =>
    timed.test(expr) && expr.startsWith('histogram_quantile') && view === 'timeseries';
  const marked = targets.filter(({ exemplar }) => exemplar === true);
  expect(marked.length).toBeGreaterThan(5);
  expect(marked.filter((target) => !timed.test(target.expr)).map(({ at }) => at)).toEqual([]);
  const missing = targets.filter((target) => isLatency(target) && target.exemplar !== true);
  expect(missing.map(({ at }) => at)).toEqual([]);
});

test('alerts, versions and restarts are marked on every board', () => {
  for (const { annotations } of built) {
    const names = (annotations.list ?? []).map(({ name }) => name);
    expect(names).toEqual(['Alerts', 'New versions', 'Restarts']);
  }
});

function queriesOf(panels: readonly { readonly queries: readonly Query[] }[]): readonly string[] {
  return panels.flatMap(({ queries }) => queries.map(({ expr }) => expr));
}

function isRow(panel: Panel | RowPanel): panel is RowPanel {
  return panel.type === 'row';
}

function targetsOf(panel: Panel): readonly Target[] {
  return (panel.targets ?? []) as unknown as readonly Target[];
}
