/** Models for the tests of this package: one of each kind of pipeline. */
import { hasPipeline, type ModelManifest } from '@inferry/contracts';
import { expect, test } from 'vitest';

const common: Omit<
  ModelManifest,
  'name' | 'inputs' | 'outputs' | 'preprocess' | 'postprocess' | 'maxBatchSize'
> = {
  version: '1',
  digest: 'd',
  backend: 'onnxruntime',
  file: null,
  fileBytes: 1,
  instances: [{ kind: 'cpu', count: 1 }],
  simulated: null,
  latencyTargetMs: null,
  linger: { mode: 'auto', maxMs: 20 },
  admission: { mode: 'depth', budgetMs: null, onInfeasible: 'refuse' },
  queueDepthMax: 100,
  agingMs: 60_000,
  weight: 1,
  timeoutMs: 30_000,
  executionTimeoutMs: 5_000,
  session: { intraOpThreads: 1, graphOptimization: 'all' },
  warmupRows: [1],
};

export const iris: ModelManifest = {
  ...common,
  name: 'iris',
  maxBatchSize: 8,
  inputs: [{ name: 'features', datatype: 'FP32', shape: [-1, 4] }],
  outputs: [{ name: 'scores', datatype: 'FP32', shape: [-1, 3] }],
  preprocess: {
    kind: 'tabular',
    columns: [
      { kind: 'number', name: 'sepal_length', min: 0, max: 30, mean: 0, std: 1 },
      { kind: 'number', name: 'sepal_width', min: 0, max: 30, mean: 0, std: 1 },
      { kind: 'number', name: 'petal_length', min: 0, max: 30, mean: 0, std: 1 },
      { kind: 'number', name: 'petal_width', min: 0, max: 30, mean: 0, std: 1 },
    ],
  },
  postprocess: {
    kind: 'classify',
    output: 'scores',
    labels: ['setosa', 'versicolor', 'virginica'],
    topK: 3,
    activation: 'none',
    threshold: null,
  },
};

export const digits: ModelManifest = {
  ...common,
  name: 'digits',
  maxBatchSize: 4,
  inputs: [{ name: 'pixels', datatype: 'FP32', shape: [-1, 1, 8, 8] }],
  outputs: [{ name: 'logits', datatype: 'FP32', shape: [-1, 10] }],
  preprocess: {
    kind: 'image',
    input: 'image',
    orient: true,
    background: [0, 0, 0],
    cropPct: 1,
    width: 8,
    height: 8,
    fit: 'contain',
    pad: 'edge',
    color: 'gray',
    layout: 'nchw',
    interpolation: 'linear',
    scale: 1,
    mean: [0],
    std: [1],
  },
  postprocess: {
    kind: 'classify',
    output: 'logits',
    labels: ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9'],
    topK: 3,
    activation: 'softmax',
    threshold: null,
  },
};

/** No pipeline, two inputs that share their rows. */
export const adder: ModelManifest = {
  ...common,
  name: 'adder',
  maxBatchSize: 4,
  inputs: [
    { name: 'a', datatype: 'INT64', shape: [-1, -1] },
    { name: 'b', datatype: 'INT64', shape: [-1, -1] },
  ],
  outputs: [{ name: 'sum', datatype: 'INT64', shape: [-1, -1] }],
  preprocess: { kind: 'none' },
  postprocess: { kind: 'none' },
};

export const sentiment: ModelManifest = {
  ...common,
  name: 'sentiment',
  maxBatchSize: 4,
  inputs: [{ name: 'input_ids', datatype: 'INT64', shape: [-1, -1] }],
  outputs: [{ name: 'logits', datatype: 'FP32', shape: [-1, 2] }],
  preprocess: {
    kind: 'text',
    input: 'text',
    tokenizerFile: '/models/sentiment/tokenizer.json',
    bytesMax: 100,
    lengthMax: 16,
    overflow: 'truncate',
    truncationSide: 'right',
    hasSpecialTokens: true,
    buckets: [16],
    padding: { id: 0, typeId: 0, side: 'right' },
    tensors: { ids: 'input_ids', mask: null, types: null },
  },
  postprocess: {
    kind: 'classify',
    output: 'logits',
    labels: ['bad', 'good'],
    topK: 2,
    activation: 'softmax',
    threshold: null,
  },
};

/** `adder` with nested arrays on both sides. */
export const fields: ModelManifest = {
  ...adder,
  name: 'fields',
  preprocess: { kind: 'tensor', normalize: {} },
  postprocess: { kind: 'tensor', outputs: ['sum'] },
};

export const shop: ModelManifest = {
  ...iris,
  name: 'shop',
  preprocess: {
    kind: 'tabular',
    columns: [
      { kind: 'number', name: 'price', mean: 0, std: 1, default: 1 },
      { kind: 'category', name: 'size', values: ['S', 'M', 7], encoding: 'one_hot' },
      { kind: 'boolean', name: 'new' },
    ],
  },
};

test('the models of the fixture cover the kinds of pipelines', () => {
  const models = [iris, shop, digits, sentiment, fields, adder];
  expect(models.map(hasPipeline)).toEqual([true, true, true, true, true, false]);
});
