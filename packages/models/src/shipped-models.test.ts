/** The repositories that come with the project load without a problem, and say what they should. */
import { repositoryPath } from '@inferry/testkit';
import { describe, expect, test } from 'vitest';
import { loadRepository } from './load-repository.ts';
import { latestVersion, resolveModel } from './versions.ts';

async function manifestsIn(directory: string) {
  const repository = await loadRepository(repositoryPath(directory));
  expect(repository.problems).toEqual([]);
  return repository.models;
}

describe('the demo repository', () => {
  test('serves iris from four named columns', async () => {
    const iris = resolveModel(await manifestsIn('models'), 'iris');
    expect(iris).toMatchObject({
      ok: true,
      value: {
        inputs: [{ datatype: 'FP32', shape: [-1, 4] }],
        preprocess: {
          kind: 'tabular',
          columns: [
            { name: 'sepal_length' },
            { name: 'sepal_width' },
            { name: 'petal_length' },
            { name: 'petal_width' },
          ],
        },
        postprocess: { kind: 'classify', labels: ['setosa', 'versicolor', 'virginica'] },
      },
    });
  });

  test('serves digits from an image', async () => {
    const digits = resolveModel(await manifestsIn('models'), 'digits');
    expect(digits).toMatchObject({
      ok: true,
      value: { preprocess: { kind: 'image', color: 'gray' }, postprocess: { topK: 3 } },
    });
    expect(digits).toMatchObject({
      value: { postprocess: { labels: Array.from({ length: 10 }, (_, digit) => String(digit)) } },
    });
  });
});

describe('the test repository', () => {
  const fixtures = 'packages/testkit/fixtures';

  test('has an identity of every datatype, read from the ONNX file alone', async () => {
    const models = await manifestsIn(`${fixtures}/models`);
    const datatypes = models
      .filter(({ name }) => name.startsWith('identity_'))
      .map(({ inputs }) => inputs[0]?.datatype);
    expect(datatypes.map(String).toSorted()).toEqual(
      'BOOL BYTES FP16 FP32 FP64 INT16 INT32 INT64 INT8 UINT16 UINT32 UINT64 UINT8'.split(' '),
    );
  });

  test('knows a model without a batch dimension from those that have one', async () => {
    const models = await manifestsIn(`${fixtures}/models`);
    const size = (name: string): number | undefined =>
      latestVersion(models.filter((model) => model.name === name))?.maxBatchSize;
    expect([size('matrix'), size('two_inputs'), size('picky')]).toEqual([0, 8, 8]);
  });

  test('holds broken files that are refused with the reason', async () => {
    const { models, problems } = await loadRepository(repositoryPath(fixtures, 'broken'));
    expect(models).toEqual([]);
    expect(problems).toContainEqual(
      expect.objectContaining({
        model: 'identity_bf16',
        message: expect.stringContaining('ONNX Runtime for Node cannot load') as string,
      }),
    );
    expect(problems).toContainEqual(
      expect.objectContaining({
        model: 'truncated',
        message: expect.stringContaining('truncated') as string,
      }),
    );
  });
});
