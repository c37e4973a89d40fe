import { repositoryFiles } from '@inferry/testkit';
import { expect, test } from 'vitest';
import { catalogueList } from './catalogue.ts';

/** Names as an exposition has them: a histogram is seen as three. */
const exported = new Set(
  catalogueList().flatMap(({ fullName, type }) => {
    const suffixes = type === 'histogram' ? ['', '_bucket', '_sum', '_count'] : [''];
    return suffixes.map((suffix) => fullName + suffix);
  }),
);

test('every metric named in a document or in the infrastructure is in the catalogue', () => {
  const cited = repositoryFiles()
    .filter(({ path }) => path.endsWith('.md') || path.startsWith('infra/'))
    .flatMap(({ path, text }) =>
      [...text.matchAll(/\binferry_[a-z0-9_]*[a-z0-9]/gu)].map(([name]) => ({ path, name })),
    );
  expect(cited.filter(({ name }) => !exported.has(name))).toEqual([]);
});
