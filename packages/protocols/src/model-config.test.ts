import { expect, test } from 'vitest';
import { modelConfiguration } from './model-config.ts';
import { adder, iris } from './models-fixture.test.ts';

test('a model is told in the words of ModelConfig, without its batch dimension', () => {
  expect(modelConfiguration({ ...adder, linger: { mode: 'defer', maxMs: 2.5 } })).toMatchObject({
    name: 'adder',
    platform: 'onnxruntime_onnx',
    max_batch_size: 4,
    version_policy: { all: {} },
    input: [
      { name: 'a', data_type: 'TYPE_INT64', dims: [-1], optional: false },
      { name: 'b', data_type: 'TYPE_INT64', dims: [-1] },
    ],
    output: [{ name: 'sum', data_type: 'TYPE_INT64', dims: [-1], label_filename: '' }],
    dynamic_batching: { max_queue_delay_microseconds: 2500, preserve_ordering: false },
    instance_group: [{ name: 'adder_0', kind: 'KIND_CPU', count: 1 }],
    optimization: { priority: 'PRIORITY_DEFAULT' },
    model_transaction_policy: { decoupled: false },
  });
});

test('a model without a batch dimension has its whole shape and no batching', () => {
  const config = modelConfiguration({
    ...iris,
    maxBatchSize: 0,
    inputs: [{ name: 'text', datatype: 'BYTES', shape: [2, 2] }],
    instances: [{ kind: 'tensorrt', count: 2, gpus: [1] }],
  });
  expect(config).toMatchObject({
    max_batch_size: 0,
    input: [{ data_type: 'TYPE_STRING', dims: [2, 2] }],
    instance_group: [{ kind: 'KIND_GPU', count: 2, gpus: [1] }],
    optimization: {
      execution_accelerators: { gpu_execution_accelerator: [{ name: 'tensorrt' }] },
    },
  });
  expect(config).not.toHaveProperty('dynamic_batching');
});

test('the configuration of a Triton model repository is told as it was read', () => {
  const modelConfig = { name: 'iris', metric_tags: { team: 'a' } };
  expect(modelConfiguration({ ...iris, modelConfig })).toEqual(modelConfig);
});

test('an ensemble is told with its steps, and versions that are no numbers as the latest', () => {
  const step = { model: 'a', inputs: { x: 'in' }, outputs: { y: 'out' } };
  const steps = [
    { ...step, version: null },
    { ...step, version: '7' },
    { ...step, version: 'canary' },
  ];
  const manifest = { ...iris, backend: 'ensemble', instances: [], concurrentMax: 5 } as const;
  const config = modelConfiguration({ ...manifest, ensemble: { steps } });
  expect(config).toMatchObject({
    platform: 'ensemble',
    backend: '',
    instance_group: [],
    ensemble_scheduling: {
      step: [
        { model_name: 'a', model_version: -1, input_map: { x: 'in' }, output_map: { y: 'out' } },
        { model_version: 7 },
        { model_version: -1 },
      ],
      max_inflight_requests: 5,
    },
  });
  expect(config).not.toHaveProperty('dynamic_batching');
});
