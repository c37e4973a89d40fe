/** What Triton fills in where a configuration does not say it, and how the whole is told. */
import { describe, expect, test } from 'vitest';
import { writeOnnx, type WrittenModel } from '../onnx-writer.test.ts';
import { batched, head, load, loadConfig, put } from './config-fixture.test.ts';

const matrix: WrittenModel = {
  inputs: [{ name: 'x', type: 1, shape: [3, 4] }],
  outputs: [{ name: 'y', type: 1, shape: [3, 4] }],
};

describe('what a configuration leaves out is completed from the model', () => {
  test('a batch size of 4 and joined requests, where every first dimension varies', async () => {
    const { models, problems } = await loadConfig('backend: "onnxruntime"');
    expect(problems).toEqual([]);
    expect(models[0]).toMatchObject({ maxBatchSize: 4, linger: { mode: 'none' } });
    expect(models[0]).not.toHaveProperty('joinedRowsMax');
    expect(models[0]?.modelConfig).toMatchObject({
      max_batch_size: 4,
      dynamic_batching: { preserve_ordering: false },
      input: [{ name: 'x', data_type: 'TYPE_FP32', dims: [4] }],
    });
  });

  test('the given batch size stays', async () => {
    const { models } = await loadConfig('max_batch_size: 32');
    expect(models[0]).toMatchObject({ maxBatchSize: 32 });
  });

  test('no batches where a first dimension is fixed', async () => {
    expect((await loadConfig('', matrix)).models[0]).toMatchObject({
      maxBatchSize: 0,
      inputs: [{ shape: [3, 4] }],
    });
    expect((await loadConfig('\nmax_batch_size: 2', matrix)).problems).toEqual([
      'm/config.pbtxt:2: max_batch_size: must be 0: the first dimension of "x" does not vary in the model',
    ]);
  });

  test('nothing where inputs and outputs are both declared', async () => {
    const { models } = await loadConfig(
      'input { name: "x" data_type: TYPE_FP32 dims: [ -1, 4 ] } output { name: "y" data_type: TYPE_FP32 dims: [ -1, 3 ] }',
    );
    expect(models[0]).toMatchObject({ maxBatchSize: 0, inputs: [{ shape: [-1, 4] }] });
  });

  test('a scalar of a row is called [1]', async () => {
    const scalar: WrittenModel = { ...batched, outputs: [{ name: 'y', type: 1, shape: [null] }] };
    expect((await loadConfig('', scalar)).models[0]?.outputs).toEqual([
      { name: 'y', datatype: 'FP32', shape: [-1, 1], runShape: [-1] },
    ]);
  });

  test('a folder without a configuration is read from its files alone', async () => {
    await put('m/1/model.onnx', writeOnnx(batched));
    expect((await load()).models[0]).toMatchObject({ inputs: [{ shape: [-1, 4] }] });
  });

  test('outputs may be left out, inputs may not', async () => {
    const model: WrittenModel = {
      inputs: [...batched.inputs, { name: 'z', type: 1, shape: [null, 4] }],
      outputs: [...batched.outputs, { name: 'w', type: 1, shape: [null, 3] }],
    };
    expect((await loadConfig(head, model)).problems).toEqual([
      'm/config.pbtxt:4: input: lacks "z", which the model has (declare all or none)',
    ]);
    const both = `${head}input { name: "z" data_type: TYPE_FP32 dims: 4 }`;
    expect((await loadConfig(both, model)).models[0]?.outputs.map(({ name }) => name)).toEqual([
      'y',
    ]);
  });
});

test('the configuration is told with its defaults, enums as texts and maps as objects', async () => {
  const { models } = await loadConfig(
    `${head}parameters { key: "intra_op_thread_count" value { string_value: "1" } }
metric_tags [ { key: "a" value: "b" }, { key: "c" } ]
optimization { graph { level: 1 } }`,
  );
  expect(models[0]?.modelConfig).toEqual({
    name: 'm',
    platform: 'onnxruntime_onnx',
    backend: 'onnxruntime',
    runtime: '',
    version_policy: { latest: { num_versions: 1 } },
    max_batch_size: 8,
    input: [
      {
        name: 'x',
        data_type: 'TYPE_FP32',
        format: 'FORMAT_NONE',
        dims: [4],
        is_shape_tensor: false,
        allow_ragged_batch: false,
        optional: false,
        is_non_linear_format_io: false,
      },
    ],
    output: [
      {
        name: 'y',
        data_type: 'TYPE_FP32',
        dims: [3],
        label_filename: '',
        is_shape_tensor: false,
        is_non_linear_format_io: false,
      },
    ],
    batch_input: [],
    batch_output: [],
    optimization: {
      graph: { level: 1 },
      priority: 'PRIORITY_DEFAULT',
      gather_kernel_buffer_threshold: 0,
      eager_batching: false,
    },
    dynamic_batching: {
      preferred_batch_size: [],
      max_queue_delay_microseconds: 0,
      preserve_ordering: false,
      priority_levels: 0,
      default_priority_level: 0,
      priority_queue_policy: {},
    },
    instance_group: [
      {
        name: '',
        kind: 'KIND_AUTO',
        count: 0,
        gpus: [],
        secondary_devices: [],
        profile: [],
        passive: false,
        host_policy: '',
      },
    ],
    default_model_filename: 'model.onnx',
    cc_model_filenames: {},
    metric_tags: { a: 'b', c: '' },
    parameters: { intra_op_thread_count: { string_value: '1' } },
    model_warmup: [],
    model_transaction_policy: { decoupled: false },
  });
});
