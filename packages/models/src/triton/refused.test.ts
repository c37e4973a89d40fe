/** Fields of config.pbtxt that keep a model from being served: each is told with its line. */
import { describe, expect, test } from 'vitest';
import { writeOnnx } from '../onnx-writer.test.ts';
import { batched, configOf, head, load, loadConfig, put } from './config-fixture.test.ts';

const control = (buckets: string): string =>
  `metric_control { metric_identifier { family: "nv_inference_first_response_histogram_ms" } histogram_options { buckets: [ ${buckets} ] } }`;

describe('refused, with the line', () => {
  test.each<[string, string, string]>([
    ['another name', 'name: "other"', 'name: is "other"; it must be the name of its folder, "m"'],
    ['another platform', 'platform: "tensorrt_plan"', 'platform: "tensorrt_plan" is not served'],
    [
      'an ensemble without steps',
      'platform: "ensemble"',
      'platform: is "ensemble", and there is no ensemble_scheduling',
    ],
    ['another backend', 'backend: "python"', 'backend: "python" is not served'],
    ['another runtime', 'runtime: "model.py"', 'runtime: "model.py" is not served'],
    [
      'is_shape_tensor',
      'input { name: "x" data_type: TYPE_FP32 dims: 4 is_shape_tensor: true }',
      'input[0].is_shape_tensor: is of TensorRT engines',
    ],
    [
      'is_non_linear_format_io',
      'output { name: "y" data_type: TYPE_FP32 dims: 3 is_non_linear_format_io: true }',
      'output[0].is_non_linear_format_io: is of TensorRT engines',
    ],
    [
      'batch_input',
      'batch_input { kind: BATCH_ELEMENT_COUNT target_name: "x" data_type: TYPE_FP32 source_input: "x" }',
      'batch_input: makes ragged batches',
    ],
    [
      'batch_output',
      'batch_output { target_name: "y" source_input: "x" }',
      'batch_output: makes ragged batches',
    ],
    [
      'sequence_batching',
      'sequence_batching { max_sequence_idle_microseconds: 5 control_input { name: "S" } }',
      'sequence_batching: is not served',
    ],
    [
      'op_library_filename',
      'model_operations { op_library_filename: "a.so" }',
      'model_operations.op_library_filename: is not served',
    ],
    [
      'decoupled',
      'model_transaction_policy { decoupled: True }',
      'model_transaction_policy.decoupled: is not served',
    ],
    [
      'preferred sizes',
      'dynamic_batching { preferred_batch_size: 9 }',
      'dynamic_batching.preferred_batch_size[0]: is 9; it must be from 1 to max_batch_size (8)',
    ],
    [
      'default_priority_level',
      'dynamic_batching { default_priority_level: 3 }',
      'dynamic_batching.default_priority_level: is 3',
    ],
    [
      'priority_queue_policy',
      'dynamic_batching { priority_queue_policy { key: 4 value { max_queue_size: 1 } } }',
      'dynamic_batching.priority_queue_policy["4"]'.replace('["4"]', '.4'),
    ],
    [
      'dims',
      'input { name: "x" data_type: TYPE_FP32 dims: 0 }',
      'input[0].dims: is [0]; each is at least 1, or -1',
    ],
    ['no dims', 'input { name: "x" data_type: TYPE_FP32 }', 'input[0].dims: is required'],
    ['no data_type', 'input { name: "x" dims: 4 }', 'input[0].data_type: is required'],
    [
      'other dims than the model',
      'input { name: "x" data_type: TYPE_FP32 dims: 5 }',
      'input[0].dims: is [-1, 5] here and [-1, 4] in the model',
    ],
    [
      'another type than the model',
      'input { name: "x" data_type: TYPE_INT8 dims: 4 }',
      'input[0].data_type: is INT8 here and FP32 in the model',
    ],
    [
      'an input the model lacks',
      'input { name: "q" data_type: TYPE_FP32 dims: 4 }',
      'input[0].name: the model has no such input',
    ],
    [
      'reshape',
      'input { name: "x" data_type: TYPE_FP32 dims: 4 reshape { shape: [ 2, 3 ] } }',
      'input[0].reshape: [2, 3] must have as many elements',
    ],
    [
      'a reshape that the model does not have',
      'input { name: "x" data_type: TYPE_FP32 dims: 4 reshape { shape: [ 2, 2 ] } }',
      'input[0].reshape: is [-1, 2, 2] here and [-1, 4] in the model',
    ],
    [
      'label_filename',
      'output { name: "y" data_type: TYPE_FP32 dims: 3 label_filename: "absent.txt" }',
      'output[0].label_filename: m/absent.txt does not exist',
    ],
    [
      'count',
      'instance_group { count: 65 }',
      'instance_group[0].count: is 65; it must be from 1 to 64',
    ],
    [
      'gpus',
      'instance_group { kind: KIND_CPU gpus: 0 }',
      'instance_group[0].gpus: must be empty with KIND_CPU',
    ],
    ['passive alone', 'instance_group { passive: true }', 'instance_group: all groups are passive'],
    [
      'threads',
      'parameters { key: "intra_op_thread_count" value { string_value: "many" } }',
      'parameters.intra_op_thread_count: is "many"',
    ],
    [
      'default_model_filename',
      'default_model_filename: "../x.onnx"',
      'default_model_filename: "../x.onnx" must be the name of a file',
    ],
    [
      'a version that is not there',
      'version_policy { specific { versions: 5 } }',
      'version_policy.specific.versions[0]: is 5, which is not there; there is: 1',
    ],
    [
      'buckets that do not increase',
      `model_metrics { ${control('100, 100')} }`,
      'model_metrics.metric_control[0].histogram_options.buckets[1]: is 100; it must be above the one before it, 100',
    ],
    [
      'a bucket that is no number',
      `model_metrics { ${control('100, inf')} }`,
      'model_metrics.metric_control[0].histogram_options.buckets[1]: must be a finite number',
    ],
    [
      'too many buckets',
      `model_metrics { ${control(Array.from({ length: 65 }, (_, i) => i).join())} }`,
      'model_metrics.metric_control[0].histogram_options.buckets: has 65 bounds; at most 64 are told',
    ],
    [
      'warm-up of another shape',
      'model_warmup { inputs { key: "x" value { data_type: TYPE_FP32 dims: 5 zero_data: true } } }',
      'model_warmup[0].inputs.x.dims: [5] must fit the input, [4]',
    ],
    [
      'warm-up without an input',
      'model_warmup { name: "w" }',
      'model_warmup[0].inputs: lacks input "x"',
    ],
    [
      'warm-up without its file',
      'model_warmup { inputs { key: "x" value { data_type: TYPE_FP32 dims: 4 input_data_file: "a" } } }',
      'model_warmup[0].inputs.x.input_data_file: m/warmup/a is not there',
    ],
    [
      'two schedulers',
      'sequence_batching { } dynamic_batching { }',
      'dynamic_batching: is there beside sequence_batching',
    ],
    ['a field twice', 'max_batch_size: 4 max_batch_size: 2', 'max_batch_size: is there twice'],
    ['another kind of value', 'max_batch_size: "4"', 'max_batch_size: must be a whole number'],
    [
      'a number out of range',
      'max_batch_size: 2147483648',
      'max_batch_size: is 2147483648; it must be from',
    ],
    ['a negative batch size', 'max_batch_size: -1', 'max_batch_size: '],
    [
      'an unknown enum value',
      'instance_group { kind: KIND_TPU }',
      'instance_group[0].kind: must be one of: KIND_AUTO, KIND_GPU',
    ],
    ['a broken text', 'input [', 'column 8: '],
    [
      'the key of an entry that is no text',
      'parameters { key: enable_mem_arena value { string_value: "0" } }',
      'parameters: the key of an entry must be text in quotes',
    ],
  ])('%s', async (_what, more, expected) => {
    const replaced = /^[a-z_]+(?=:| \{)/u.exec(more)?.[0] ?? '';
    const without = [
      'name',
      'backend',
      'max_batch_size',
      'input',
      'output',
      'dynamic_batching',
      'sequence_batching',
    ];
    const dropped = replaced === 'sequence_batching' ? 'dynamic_batching' : replaced;
    const config = configOf(more, without.includes(dropped) ? dropped : '');
    const line = config.split('\n').indexOf(more) + 1;
    const { models, problems } = await loadConfig(config);
    expect(models).toEqual([]);
    expect(problems.length).toBeGreaterThanOrEqual(1);
    const wanted = `m/config.pbtxt:${line}: ${expected}`;
    expect(
      problems.some((text) => text.startsWith(wanted)),
      `${wanted}\n${problems.join('\n')}`,
    ).toBe(true);
  });

  test('a model with config.pbtxt and model.yaml, which could say two things', async () => {
    await put('m/model.yaml', '');
    expect((await loadConfig(head)).problems).toEqual([
      'm/config.pbtxt: is there beside model.yaml, and both describe the model: keep one of them',
    ]);
  });

  test('a warm-up file that is too short for a row', async () => {
    await put('m/warmup/x.bin', new Uint8Array(12));
    const { problems } = await loadConfig(
      `${head}model_warmup { batch_size: 2 inputs { key: "x" value { data_type: TYPE_FP32 dims: 4 input_data_file: "x.bin" } } }`,
    );
    expect(problems).toEqual([
      'm/config.pbtxt:7: model_warmup[0].inputs.x.input_data_file: m/warmup/x.bin has 12 bytes; a row needs 16',
    ]);
  });

  test('a batch size that is beyond what is served, once', async () => {
    expect((await loadConfig('max_batch_size: 70000')).problems).toEqual([
      'm/config.pbtxt:1: max_batch_size: Too big: expected number to be <=65536',
    ]);
  });

  test('a model without versions, and one without its file', async () => {
    await put('none/config.pbtxt', 'name: "none"');
    await put('empty/config.pbtxt', '');
    await put('empty/1/notes.txt', '');
    expect((await load()).problems).toEqual([
      'empty/1/model.onnx: does not exist',
      'none/config.pbtxt:1: there is no version: expected a folder whose name is a number, as in 1/model.onnx',
    ]);
  });

  test('one of several versions alone, where its file is broken', async () => {
    await put('m/1/model.onnx', writeOnnx(batched));
    await put('m/2/model.onnx', 'nothing');
    await put('m/config.pbtxt', `${head}version_policy { all { } }`);
    const { models, problems } = await load();
    expect(models.map(({ version }) => version)).toEqual(['1']);
    expect(problems).toEqual([expect.stringContaining('m/2/model.onnx: ')]);
  });
});
