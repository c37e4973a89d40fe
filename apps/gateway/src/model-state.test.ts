/** The index of the model repository: what is served, what is not, and why. */
import { ModelCatalogue } from '@inferry/models';
import { testManifest } from '@inferry/testkit';
import { expect, test } from 'vitest';
import { repositoryIndex } from './model-state.ts';

test('the index tells what cannot be read, by version, or with none where all are meant', () => {
  const catalogue = new ModelCatalogue();
  const problem = (
    model: string | null,
    version: string | null,
    file: string,
    line: number | null,
  ) => ({
    model,
    version,
    file: `/srv/models/${file}`,
    line,
    message: 'is wrong',
  });
  catalogue.replaceLocal({
    models: [testManifest({ name: 'm', version: '1' }), testManifest({ name: 'm', version: '2' })],
    routing: {},
    problems: [
      problem('m', '3', 'm/3/model.onnx', null),
      problem('m', '2', 'm/2/model.onnx', null),
      problem('a', null, 'a/model.yaml', 4),
      problem('a', null, 'a/model.yaml', 7),
      problem(null, null, 'x', null),
    ],
  });
  const why = 'no worker has it loaded';
  expect(repositoryIndex(catalogue, { onlyReady: false })).toEqual([
    {
      name: 'a',
      version: '',
      state: 'UNAVAILABLE',
      reason: 'model.yaml:4: is wrong; model.yaml:7: is wrong',
    },
    { name: 'm', version: '1', state: 'UNAVAILABLE', reason: why },
    { name: 'm', version: '2', state: 'UNAVAILABLE', reason: why },
    { name: 'm', version: '3', state: 'UNAVAILABLE', reason: 'model.onnx: is wrong' },
  ]);
  expect(repositoryIndex(catalogue, { onlyReady: true })).toEqual([]);
});
