/** Two models for the tests of this app: named numbers, and images. No worker loads them. */
import { hasPipeline, type ModelManifest } from '@inferry/contracts';
import { expect, test } from 'vitest';

const labels = ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9'];

export const iris: ModelManifest = {
  name: 'iris',
  version: '1',
  digest: 'd',
  backend: 'onnxruntime',
  file: null,
  fileBytes: 1,
  maxBatchSize: 8,
  instances: [{ kind: 'cpu', count: 1 }],
  inputs: [{ name: 'features', datatype: 'FP32', shape: [-1, 2] }],
  outputs: [{ name: 'count', datatype: 'INT64', shape: [-1] }],
  preprocess: {
    kind: 'tabular',
    columns: [
      { kind: 'number', name: 'length', min: 0, mean: 0, std: 1 },
      { kind: 'number', name: 'width', min: 0, mean: 0, std: 1 },
    ],
  },
  postprocess: {
    kind: 'classify',
    output: 'scores',
    labels,
    topK: 3,
    activation: 'none',
    threshold: null,
  },
  simulated: null,
  latencyTargetMs: null,
  linger: { mode: 'auto', maxMs: 20 },
  admission: { mode: 'depth', budgetMs: null, onInfeasible: 'refuse' },
  queueDepthMax: 3,
  agingMs: 60_000,
  weight: 1,
  timeoutMs: 20_000,
  executionTimeoutMs: 5_000,
  session: { intraOpThreads: 1, graphOptimization: 'all' },
  warmupRows: [1],
};

export const digits: ModelManifest = {
  ...iris,
  name: 'digits',
  inputs: [{ name: 'pixels', datatype: 'FP32', shape: [-1, 1, 8, 8] }],
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
};

test('the models of the fixture cover the kinds of pipelines', () => {
  expect([iris, digits].map(hasPipeline)).toEqual([true, true]);
});
