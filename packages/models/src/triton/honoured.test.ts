/** Fields of config.pbtxt that do what they do in Triton. */
import { describe, expect, test } from 'vitest';
import { writeOnnx, type WrittenModel } from '../onnx-writer.test.ts';
import { batched, configOf, head, inFolder, load, loadConfig, put } from './config-fixture.test.ts';

describe('honoured', () => {
  test.each<[string, string, string, object]>([
    ['name', '', '', { name: 'm', version: '1' }],
    ['platform', 'platform: "onnxruntime_onnx"', 'backend', { backend: 'onnxruntime' }],
    ['backend from the file', '', 'backend', { backend: 'onnxruntime' }],
    ['max_batch_size', '', '', { maxBatchSize: 8, warmupRows: [1, 8] }],
    ['input and output', '', '', { inputs: [{ name: 'x', datatype: 'FP32', shape: [-1, 4] }] }],
    [
      'instance_group absent',
      '',
      '',
      {
        instances: [
          { kind: 'cuda', count: 1 },
          { kind: 'cpu', count: 2 },
        ],
      },
    ],
    [
      'KIND_CPU',
      'instance_group [ { kind: KIND_CPU } ]',
      '',
      { instances: [{ kind: 'cpu', count: 2 }] },
    ],
    [
      'count',
      'instance_group { count: 3 kind: KIND_CPU }',
      '',
      { instances: [{ kind: 'cpu', count: 3 }] },
    ],
    [
      'gpus',
      'instance_group { kind: KIND_GPU gpus: [ 0, 2 ] }',
      '',
      { instances: [{ kind: 'cuda', count: 1, gpus: [0, 2] }] },
    ],
    [
      'dynamic_batching absent',
      '',
      'dynamic_batching',
      { joinedRowsMax: 1, linger: { mode: 'none', maxMs: 0 } },
    ],
    ['dynamic_batching empty', '', '', { linger: { mode: 'none', maxMs: 0 } }],
    [
      'preferred_batch_size',
      'dynamic_batching { preferred_batch_size: [ 2, 4 ] }',
      'dynamic_batching',
      { joinedRowsMax: 4, warmupRows: [1, 4], linger: { rowsEnough: 2 } },
    ],
    [
      'max_queue_delay_microseconds',
      'dynamic_batching { max_queue_delay_microseconds: 2500 }',
      'dynamic_batching',
      { linger: { mode: 'defer', maxMs: 2.5 } },
    ],
    [
      'max_queue_size',
      'dynamic_batching { default_queue_policy { max_queue_size: 7 } }',
      'dynamic_batching',
      { queueDepthMax: 7 },
    ],
    [
      'default_timeout_microseconds',
      'dynamic_batching { default_queue_policy { default_timeout_microseconds: 1500000 allow_timeout_override: true } }',
      'dynamic_batching',
      { queueTimeoutMs: 1500 },
    ],
    [
      'metric_tags',
      'metric_tags [ { key: "team" value: "a" }, { key: "1st" value: "" } ]',
      '',
      { metricTags: { team: 'a', '1st': '' } },
    ],
    [
      'metric_control',
      'model_metrics { metric_control [ { metric_identifier { family: "nv_inference_first_response_histogram_ms" } histogram_options { buckets: [ 0.5, 10, 2e3 ] } } ] }',
      '',
      { firstResponseBucketsMs: [0.5, 10, 2_000] },
    ],
    ['response_cache', 'response_cache { enable: true }', '', { hasResponseCache: true }],
    [
      'optimization.graph.level',
      'optimization { graph { level: 1 } }',
      '',
      { session: { graphOptimization: 'extended' } },
    ],
    [
      'graph.level -1',
      'optimization { graph { level: -1 } }',
      '',
      { session: { graphOptimization: 'basic' } },
    ],
    [
      'graph.level 2',
      'optimization { graph : { level : 2 } }',
      '',
      { session: { graphOptimization: 'disabled' } },
    ],
    [
      'tensorrt',
      'optimization { execution_accelerators { gpu_execution_accelerator : [ { name : "tensorrt" } ] } } instance_group { kind: KIND_GPU }',
      '',
      { instances: [{ kind: 'tensorrt', count: 1 }] },
    ],
    [
      'threads',
      'parameters { key: "intra_op_thread_count" value: { string_value: "3" } } parameters { key: "inter_op_thread_count" value { string_value: "2" } }',
      '',
      { session: { intraOpThreads: 3, interOpThreads: 2 } },
    ],
    ['threads absent', '', '', { session: { intraOpThreads: 0 } }],
    [
      'execution_mode',
      'parameters { key: "execution_mode" value: { string_value: "1" } }',
      '',
      { session: { executionMode: 'parallel' } },
    ],
    [
      'memory',
      'parameters { key: "enable_mem_arena" value: { string_value: "0" } } parameters { key: "enable_mem_pattern" value: { string_value: "true" } }',
      '',
      { session: { hasMemoryArena: false, hasMemoryPattern: true } },
    ],
    [
      'model_warmup',
      'model_warmup { name: "w" batch_size: 2 inputs { key: "x" value { data_type: TYPE_FP32 dims: 4 random_data: true } } }',
      '',
      {
        warmupSamples: [
          {
            rows: 2,
            count: 1,
            inputs: [{ name: 'x', datatype: 'FP32', shape: [2, 4], data: 'random' }],
          },
        ],
      },
    ],
    [
      'defaults written out',
      'model_transaction_policy { decoupled: false } response_cache { enable: false }',
      '',
      { version: '1' },
    ],
  ])('%s', async (_what, more, without, expected) => {
    const { models, problems, warnings } = await loadConfig(configOf(more, without));
    expect({ problems, warnings }).toEqual({ problems: [], warnings: [] });
    expect(models).toMatchObject([expected]);
  });

  test('without a delay or preferred sizes jobs share a run up to max_batch_size', async () => {
    const { models } = await loadConfig(head);
    expect(models[0]).not.toHaveProperty('joinedRowsMax');
    expect(models[0]).not.toHaveProperty('queueTimeoutMs');
  });

  test('reshape: callers see dims, the model gets its own, and what varies keeps its order', async () => {
    const model: WrittenModel = {
      inputs: [{ name: 'x', type: 1, shape: [null, null, 4] }],
      outputs: [{ name: 'y', type: 1, shape: [null] }],
    };
    const { models, problems } = await loadConfig(
      `max_batch_size: 4
input { name: "x" data_type: TYPE_FP32 dims: [ -1, 2, 2 ] reshape { shape: [ -1, 4 ] } }
output { name: "y" data_type: TYPE_FP32 dims: 1 reshape { shape: [ ] } }`,
      model,
    );
    expect(problems).toEqual([]);
    expect(models[0]?.inputs).toEqual([
      { name: 'x', datatype: 'FP32', shape: [-1, -1, 2, 2], runShape: [-1, -1, 4] },
    ]);
    expect(models[0]?.outputs).toEqual([
      { name: 'y', datatype: 'FP32', shape: [-1, 1], runShape: [-1] },
    ]);
  });

  test('a model of one picture at a time, as in the examples of Triton', async () => {
    await put('m/names.txt', 'a\nb\n');
    const model: WrittenModel = {
      inputs: [{ name: 'data_0', type: 1, shape: [1, 3, 8, 8] }],
      outputs: [{ name: 'fc6_1', type: 1, shape: [1, 2, 1, 1] }],
    };
    const { models, problems, warnings } = await loadConfig(
      `platform: "onnxruntime_onnx"
max_batch_size : 0
input [ { name: "data_0" data_type: TYPE_FP32 format: FORMAT_NCHW dims: [ 3, 8, 8 ] reshape { shape: [ 1, 3, 8, 8 ] } } ]
output [ { name: "fc6_1" data_type: TYPE_FP32 dims: [ 2 ] reshape { shape: [ 1, 2, 1, 1 ] } label_filename: "names.txt" } ]`,
      model,
    );
    expect({ problems, warnings }).toEqual({ problems: [], warnings: [] });
    expect(models[0]).toMatchObject({
      maxBatchSize: 0,
      inputs: [{ shape: [3, 8, 8], runShape: [1, 3, 8, 8] }],
      outputs: [{ shape: [2], runShape: [1, 2, 1, 1] }],
      outputLabels: { fc6_1: ['a', 'b'] },
    });
  });

  test('label_filename: labels of an output, which count for the digest', async () => {
    await put('m/names.txt', 'a\nb\nc\n');
    const config = configOf(
      'output { name: "y" data_type: TYPE_FP32 dims: 3 label_filename: "names.txt" }',
      'output',
    );
    const first = (await loadConfig(config)).models[0];
    expect(first?.outputLabels).toEqual({ y: ['a', 'b', 'c'] });
    await put('m/names.txt', 'a\nb\nd\n');
    expect((await load()).models[0]?.digest).not.toBe(first?.digest);
  });

  test('files of labels and of warm-up data in folders, and none outside', async () => {
    await put('m/lists/en/names.txt', 'a\nb\nc\n');
    await put('m/warmup/set/x.bin', new Uint8Array(16));
    const of = (labels: string, data: string): string =>
      configOf(
        `output { name: "y" data_type: TYPE_FP32 dims: 3 label_filename: "${labels}" }
model_warmup { inputs { key: "x" value { data_type: TYPE_FP32 dims: 4 input_data_file: "${data}" } } }`,
        'output',
      );
    const { models, problems } = await loadConfig(of('lists/en/names.txt', 'set/x.bin'));
    expect(problems).toEqual([]);
    expect(models[0]?.outputLabels).toEqual({ y: ['a', 'b', 'c'] });
    const file = inFolder('m/warmup/set/x.bin');
    expect(models[0]?.warmupSamples).toMatchObject([{ inputs: [{ data: { file } }] }]);
    for (const path of ['../m/lists/en/names.txt', '/names.txt', 'lists//en/names.txt']) {
      expect((await loadConfig(of(path, 'set/x.bin'))).problems).toHaveLength(1);
    }
    expect((await loadConfig(of('lists/en/names.txt', '../warmup/set/x.bin'))).problems).toEqual([
      expect.stringContaining('must be the path of a file below the folder warmup'),
    ]);
  });

  test('priority_queue_policy: a time in the queue for each priority', async () => {
    const { models } = await loadConfig(
      configOf(
        'dynamic_batching { priority_levels: 3 default_priority_level: 2 default_queue_policy { default_timeout_microseconds: 9000 } priority_queue_policy [ { key: 1 value { default_timeout_microseconds: 2500 } }, { key: 3 value { } } ] }',
        'dynamic_batching',
      ),
    );
    expect(models[0]).toMatchObject({
      queueTimeoutMs: 9,
      queueTimeoutsMs: { high: 3, low: null },
    });
  });

  test('default_model_filename, as a file or as a folder that holds it', async () => {
    await put('m/1/net.onnx', writeOnnx(batched));
    await put('m/2/net.onnx/net.onnx', writeOnnx(batched));
    await put(
      'm/config.pbtxt',
      `${head}default_model_filename: "net.onnx" version_policy { all { } }`,
    );
    const { models, problems } = await load();
    expect(problems).toEqual([]);
    expect(models.map(({ file }) => file)).toEqual([
      inFolder('m/1/net.onnx'),
      inFolder('m/2/net.onnx/net.onnx'),
    ]);
  });

  test.each([
    ['', ['11']],
    ['version_policy: { latest { num_versions: 2 } }', ['9', '11']],
    ['version_policy { all { } }', ['1', '9', '11']],
    ['version_policy { specific { versions: [ 9, 1 ] } }', ['1', '9']],
  ])('version_policy %j', async (policy, versions) => {
    for (const version of ['1', '9', '11', '010', 'old']) {
      await put(`m/${version}/model.onnx`, writeOnnx(batched));
    }
    await put('m/config.pbtxt', head + policy);
    const { models, problems } = await load();
    expect(problems).toEqual([]);
    expect(models.map(({ version }) => version)).toEqual(versions);
  });

  test('a warm-up file that is there is named by its whole path', async () => {
    await put('m/warmup/x.bin', new Uint8Array(16));
    const { models, problems } = await loadConfig(
      `${head}model_warmup { name: "w" count: 3 inputs { key: "x" value { data_type: TYPE_FP32 dims: 4 input_data_file: "x.bin" } } }`,
    );
    expect(problems).toEqual([]);
    expect(models[0]?.warmupSamples).toMatchObject([
      { rows: 1, count: 3, inputs: [{ data: { file: inFolder('m/warmup/x.bin') } }] },
    ]);
  });
});
