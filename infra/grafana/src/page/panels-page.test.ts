import { readFileSync } from 'node:fs';
import { repositoryPath } from '@inferry/testkit';
import { expect, test } from 'vitest';
import { boards } from '../boards.ts';
import { buildBoard } from '../build.ts';
import { mayBeEmpty } from '../files.ts';
import { panelsPage, type PanelValues } from './panels-page.ts';

const dashboards = boards.map((board) => buildBoard(board));
const keys = boards.flatMap(({ uid, sections }) =>
  sections.flatMap(({ panels }) =>
    panels.flatMap(({ id, queries }) =>
      queries.map((_query, index) => `${uid}/${id}/${'ABCDEFGH'.charAt(index)}`),
    ),
  ),
);
const one: PanelValues = Object.fromEntries(
  keys.map((key) => [key, { series: 1, example: `{at="${key}"} = 0.123456789` }]),
);
const withoutValues = (page: string): string => page.replaceAll(/^Returned .*$/gmu, 'Returned');

test('the committed page lists the panels and queries there are: npm run docs:panels', () => {
  const committed = readFileSync(repositoryPath('docs/panels.md'), 'utf8');
  expect(withoutValues(committed)).toBe(withoutValues(panelsPage(dashboards, one, mayBeEmpty())));
});

test('the committed page has something for every query that must return something', () => {
  const committed = readFileSync(repositoryPath('docs/panels.md'), 'utf8');
  const results = [...committed.matchAll(/^Returned (\d+|no) series/gmu)].map(([, count]) => count);
  expect(results.length).toBe(keys.length);
  expect(results.filter((count) => count === 'no').length).toBeLessThanOrEqual(mayBeEmpty().length);
});

test('each value stands at its query, rounded to four digits', () => {
  const page = panelsPage(dashboards, one, []);
  for (const key of keys) expect(page).toContain(`such as \`{at="${key}"} = 0.1235\`.`);
});

test('a query without a value is refused, unless it may be empty', () => {
  const some = { ...one };
  for (const key of keys) if (key.startsWith('inferry-worker/34/')) delete some[key];
  expect(panelsPage(dashboards, some, mayBeEmpty())).toContain(
    'Returned no series. Only where redis_exporter is scraped.',
  );
  expect(() => panelsPage(dashboards, some, [])).toThrow('inferry-worker/34/A returned no series');
});
