import { repositoryFiles } from '@inferry/testkit';
import { expect, test } from 'vitest';
import { catalogueList } from './catalogue.ts';

const files = repositoryFiles();

/** Names as an exposition has them: a histogram is seen as three. */
const exported = catalogueList().flatMap(({ fullName, type }) => {
  const suffixes = type === 'histogram' ? ['', '_bucket', '_sum', '_count'] : [''];
  return suffixes.map((suffix) => fullName + suffix);
});
/** Names with a colon are those that Prometheus records by a rule. */
const recorded = files
  .filter(({ path }) => path.startsWith('infra/prometheus/rules/'))
  .flatMap(({ text }) => [...text.matchAll(/\brecord: (\S+)/gu)].map(([, name]) => name));

test('every metric named in a document or in the infrastructure is in the catalogue, or recorded', () => {
  const known = new Set([...exported, ...recorded]);
  const cited = files
    .filter(({ path }) => path.endsWith('.md') || path.startsWith('infra/'))
    .flatMap(({ path, text }) =>
      [...text.matchAll(/\b(?:[a-z_]+:)?inferry_[a-z0-9_]*[a-z0-9](?::[a-z0-9_]+)?/gu)].map(
        ([name]) => ({ path, name }),
      ),
    );
  expect(cited.filter(({ name }) => !known.has(name))).toEqual([]);
});
