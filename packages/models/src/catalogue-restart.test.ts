/** Which version requests get while workers are started again and the latest cannot be loaded. */
import { expect, test } from 'vitest';
import { ModelCatalogue } from './catalogue.ts';
import { localOf, served, worker } from './catalogue-fixture.test.ts';

/** A gateway that knows: version 2 is served, and 3, the only one of its repository, cannot be loaded. */
function broken(local = localOf('3')): ModelCatalogue {
  const catalogue = new ModelCatalogue();
  catalogue.replaceLocal(local);
  catalogue.replaceAnnounced([worker('a', [served('2', 'ready'), served('3', 'failed')])]);
  expect(defaultOf(catalogue)).toBe('2');
  return catalogue;
}

const defaultOf = (catalogue: ModelCatalogue): string | undefined =>
  catalogue.get('iris')?.defaultVersion;

test('what was served is asked for on, with no worker and while one tries the broken version again', () => {
  const catalogue = broken();
  catalogue.replaceAnnounced([]);
  expect(defaultOf(catalogue)).toBe('2');
  catalogue.replaceAnnounced([worker('b', [served('3', 'loading')], { state: 'warming' })]);
  expect(defaultOf(catalogue)).toBe('2');
  catalogue.replaceAnnounced([worker('b', [served('3', 'failed'), served('2', 'loading')])]);
  expect(defaultOf(catalogue)).toBe('2');
  catalogue.replaceAnnounced([worker('b', [served('3', 'ready')])]);
  expect(defaultOf(catalogue)).toBe('3');
  catalogue.replaceAnnounced([]);
  expect(defaultOf(catalogue)).toBe('3');
});

test('so is the version of a label', () => {
  const routing = (stable: string) => ({ iris: { labels: { stable }, traffic: [] } });
  const catalogue = broken({ ...localOf('2', '3'), routing: routing('2') });
  catalogue.replaceLocal({ ...localOf('2', '3'), routing: routing('3') });
  catalogue.replaceAnnounced([]);
  expect(catalogue.get('iris')).toMatchObject({ defaultVersion: '2', labels: { stable: '2' } });
});

test('another content of the broken version is waited for', () => {
  const catalogue = broken();
  const [mended] = localOf('3').models.map((manifest) => ({ ...manifest, digest: 'mended' }));
  if (mended === undefined) throw new Error('there is one');
  catalogue.replaceLocal({ models: [mended], routing: {} });
  expect(defaultOf(catalogue)).toBe('2');
  catalogue.replaceAnnounced([]);
  expect(defaultOf(catalogue)).toBe('3');
});
