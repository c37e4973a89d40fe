import { readFile } from 'node:fs/promises';
import { catalogueList } from '@inferry/telemetry';
import { repositoryPath } from '@inferry/testkit';
import { expect, test } from 'vitest';
import { metricsPage } from './page.ts';

test('docs/metrics.md is what `npm run docs:metrics` writes', async () => {
  expect(await readFile(repositoryPath('docs/metrics.md'), 'utf8')).toBe(await metricsPage());
});

test('every metric has one row on the page', async () => {
  const page = await metricsPage();
  const rows = [...page.matchAll(/^\| `(\w+)`/gmu)].map(([, name = '']) => name);
  const all = catalogueList().map(({ fullName }) => fullName);
  expect(rows.toSorted()).toEqual(all.toSorted());
});
