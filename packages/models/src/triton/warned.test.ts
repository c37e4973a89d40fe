/** Fields of config.pbtxt that a model is served without: each is warned of with its line. */
import { describe, expect, test } from 'vitest';
import { writeOnnx } from '../onnx-writer.test.ts';
import { batched, configOf, head, load, loadConfig, put } from './config-fixture.test.ts';

const histogram = 'nv_inference_first_response_histogram_ms';

describe('warned of, with the line', () => {
  test.each<[string, string, string]>([
    [
      'optional',
      'input { name: "x" data_type: TYPE_FP32 dims: 4 optional: true }',
      'input[0].optional: has no effect',
    ],
    [
      'allow_ragged_batch',
      'input { name: "x" data_type: TYPE_FP32 dims: 4 allow_ragged_batch: true }',
      'input[0].allow_ragged_batch: has no effect',
    ],
    [
      'KIND_MODEL',
      'instance_group { kind: KIND_MODEL }',
      'instance_group[0].kind: KIND_MODEL is taken as KIND_AUTO',
    ],
    [
      'passive',
      'instance_group [ { kind: KIND_CPU }, { passive: true } ]',
      'instance_group[1].passive: the group makes no instances',
    ],
    [
      'rate_limiter',
      'instance_group { rate_limiter { priority: 2 } }',
      'instance_group[0].rate_limiter: has no effect',
    ],
    [
      'host_policy',
      'instance_group { host_policy: "p" }',
      'instance_group[0].host_policy: has no effect',
    ],
    ['profile', 'instance_group { profile: "1" }', 'instance_group[0].profile: has no effect'],
    [
      'secondary_devices',
      'instance_group { secondary_devices { device_id: 1 } }',
      'instance_group[0].secondary_devices: has no effect',
    ],
    [
      'preserve_ordering',
      'dynamic_batching { preserve_ordering: true }',
      'dynamic_batching.preserve_ordering: has no effect',
    ],
    [
      'a long delay',
      'dynamic_batching { max_queue_delay_microseconds: 60000000 }',
      'dynamic_batching.max_queue_delay_microseconds: is taken as 10000 ms',
    ],
    [
      'priority_levels',
      'dynamic_batching { priority_levels: 3 default_priority_level: 2 }',
      'dynamic_batching.priority_levels: 1, 2 and 3 share the model 8 : 4 : 1',
    ],
    [
      'timeout_action',
      'dynamic_batching { default_queue_policy { timeout_action: DELAY default_timeout_microseconds: 9 } }',
      'dynamic_batching.default_queue_policy.timeout_action: DELAY has no effect',
    ],
    [
      'optimization.priority',
      'optimization { priority: PRIORITY_MAX }',
      'optimization.priority: has no effect',
    ],
    [
      'optimization.cuda',
      'optimization { cuda { graphs: true } }',
      'optimization.cuda: has no effect',
    ],
    [
      'pinned memory',
      'optimization { input_pinned_memory { enable: true } }',
      'optimization.input_pinned_memory.enable: has no effect',
    ],
    [
      'gather_kernel_buffer_threshold',
      'optimization { gather_kernel_buffer_threshold: 8 }',
      'optimization.gather_kernel_buffer_threshold: has no effect',
    ],
    [
      'eager_batching',
      'optimization { eager_batching: true }',
      'optimization.eager_batching: has no effect',
    ],
    [
      'a timeout within the delay',
      'dynamic_batching { max_queue_delay_microseconds: 5000 default_queue_policy { default_timeout_microseconds: 5000 } }',
      'dynamic_batching.default_queue_policy.default_timeout_microseconds: ends within max_queue_delay_microseconds (5 ms)',
    ],
    [
      'graph.level',
      'optimization { graph { level: 7 } }',
      'optimization.graph.level: is 7, which is taken as 0',
    ],
    [
      'openvino',
      'optimization { execution_accelerators { cpu_execution_accelerator { name: "openvino" } } }',
      'optimization.execution_accelerators.cpu_execution_accelerator[0]: "openvino" has no effect',
    ],
    [
      'precision_mode',
      'optimization { execution_accelerators { gpu_execution_accelerator { name: "tensorrt" parameters { key: "precision_mode" value: "FP16" } } } }',
      'optimization.execution_accelerators.gpu_execution_accelerator[0].parameters.precision_mode: has no effect: ONNX Runtime for Node takes no options of the tensorrt provider',
    ],
    [
      'gpu_mem_limit',
      'parameters { key: "gpu_mem_limit" value { string_value: "1" } }',
      'parameters.gpu_mem_limit: has no effect: ONNX Runtime for Node',
    ],
    [
      'cudnn_conv_algo_search',
      'parameters: { key: "cudnn_conv_algo_search" value: { string_value: "0" } }',
      'parameters.cudnn_conv_algo_search: has no effect',
    ],
    [
      'a name with a dot',
      'parameters { key: "memory.enable_memory_arena_shrinkage" value { string_value: "cpu:0" } }',
      'parameters["memory.enable_memory_arena_shrinkage"]: has no effect',
    ],
    [
      'a parameter of its own',
      'parameters { key: "mine" value { string_value: "1" } }',
      'parameters.mine: is not known here',
    ],
    [
      'cc_model_filenames',
      'cc_model_filenames { key: "7.5" value: "t4.onnx" }',
      'cc_model_filenames: has no effect',
    ],
    [
      'a tag that is no label',
      'metric_tags { key: "my-team" value: "a" }',
      'metric_tags["my-team"]: is left out: with _ in front it must be the name of a label',
    ],
    [
      'metric_control of no metric',
      'model_metrics { metric_control { histogram_options { buckets: [ 1, 2.5 ] } } }',
      'model_metrics.metric_control[0].metric_identifier.family: names no metric: nv_inference_first',
    ],
    [
      'metric_control of another metric',
      'model_metrics { metric_control { metric_identifier { family: "nv_other_ms" } } }',
      'model_metrics.metric_control[0].metric_identifier.family: "nv_other_ms" has no effect: nv_inference_first_response_histogram_ms alone has',
    ],
    [
      'metric_control without buckets',
      `model_metrics { metric_control { metric_identifier { family: "${histogram}" } } }`,
      'model_metrics.metric_control[0]: gives no buckets',
    ],
    [
      'metric_control twice',
      `model_metrics { ${[1, 2].map((bound) => `metric_control { metric_identifier { family: "${histogram}" } histogram_options { buckets: ${bound} } }`).join(' ')} }`,
      'model_metrics.metric_control[1].metric_identifier.family: is there twice',
    ],
    [
      'model_repository_agents',
      'model_repository_agents { agents { name: "checksum" } }',
      'model_repository_agents: has no effect',
    ],
    [
      'an unknown field',
      'max_batch_sise: 4',
      'max_batch_sise: is not a known field and is ignored; did you mean "max_batch_size"?',
    ],
    [
      'an unknown message',
      'new_thing { a: [ 1 ] }',
      'new_thing: is not a known field and is ignored',
    ],
    [
      'an unknown field inside',
      'dynamic_batching { wish: 1 }',
      'dynamic_batching.wish: is not a known field',
    ],
  ])('%s', async (_what, more, expected) => {
    const replaced = /^(?:input|dynamic_batching)/u.exec(more)?.[0] ?? '';
    const config = configOf(`# one more line\n${more}\n`, replaced);
    const line = config.split('\n').indexOf(more) + 1;
    const { models, problems, warnings } = await loadConfig(config);
    expect(problems).toEqual([]);
    expect(models).toHaveLength(1);
    expect(warnings).toEqual([expect.stringContaining(`m/config.pbtxt:${line}: ${expected}`)]);
  });

  test('of a policy of a level what has no effect', async () => {
    const policies = [
      '{ key: 1 value { max_queue_size: 4 } }',
      '{ key: 2 value { timeout_action: DELAY default_timeout_microseconds: 4 } }',
      '{ key: 3 value { default_timeout_microseconds: 4000 } }',
      '{ key: 4 value { default_timeout_microseconds: 4 } }',
    ].join(',\n');
    const { models, warnings } = await loadConfig(
      configOf(
        `dynamic_batching { priority_levels: 4 default_priority_level: 2 max_queue_delay_microseconds: 5000 priority_queue_policy [\n${policies} ] }`,
        'dynamic_batching',
      ),
    );
    expect(models[0]?.queueTimeoutsMs).toEqual({ high: null, normal: null, low: 4 });
    const at = 'dynamic_batching.priority_queue_policy';
    expect(warnings.slice(1)).toEqual([
      `m/config.pbtxt:6: ${at}.4: has no effect: requests can name 1 to 3`,
      expect.stringContaining(`m/config.pbtxt:7: ${at}.1.max_queue_size: has no effect`),
      expect.stringContaining(`m/config.pbtxt:8: ${at}.2.timeout_action: DELAY has no effect`),
      expect.stringContaining(
        `m/config.pbtxt:9: ${at}.3.default_timeout_microseconds: ends within max_queue_delay`,
      ),
    ]);
  });

  test('a version that is not there, where others are', async () => {
    const { models, problems, warnings } = await loadConfig(
      `${head}version_policy { specific { versions: [ 1, 5 ] } }`,
    );
    expect(problems).toEqual([]);
    expect(models.map(({ version }) => version)).toEqual(['1']);
    expect(warnings).toEqual([
      'm/config.pbtxt:7: version_policy.specific.versions[1]: is 5, which is not there; there is: 1',
    ]);
  });

  test('each once, though several versions have it', async () => {
    await put('m/1/model.onnx', writeOnnx(batched));
    await put('m/2/model.onnx', writeOnnx(batched));
    await put(
      'm/config.pbtxt',
      `${head}instance_group { kind: KIND_MODEL }\nversion_policy { all { } }`,
    );
    expect((await load()).warnings).toHaveLength(1);
  });
});
