/**
 * The fields of a Triton `ModelConfig` as data: their types, and what becomes of each here. Names, types
 * and defaults are facts of Triton's `model_config.proto`.
 */
import {
  eitherOf,
  type EnumType,
  many,
  mapOf,
  message,
  type MessageType,
  one,
  refuse,
  warn,
} from './schema-types.ts';

export const dataTypes = [
  'TYPE_INVALID',
  'TYPE_BOOL',
  'TYPE_UINT8',
  'TYPE_UINT16',
  'TYPE_UINT32',
  'TYPE_UINT64',
  'TYPE_INT8',
  'TYPE_INT16',
  'TYPE_INT32',
  'TYPE_INT64',
  'TYPE_FP16',
  'TYPE_FP32',
  'TYPE_FP64',
  'TYPE_STRING',
  'TYPE_BF16',
] as const;
const dataType: EnumType = { values: dataTypes };

const onlyTensorrt = 'is of TensorRT engines, which are not served';
const noRagged =
  'makes ragged batches, which are not formed: the model would get other inputs than it expects';

const reshape = message({ shape: many('int64') });

const input = message({
  name: one('string'),
  data_type: one(dataType),
  format: one({ values: ['FORMAT_NONE', 'FORMAT_NHWC', 'FORMAT_NCHW'] }),
  dims: many('int64'),
  reshape: one(reshape),
  is_shape_tensor: one('bool', refuse(onlyTensorrt)),
  allow_ragged_batch: one(
    'bool',
    warn(
      'has no effect: requests whose shapes differ run apart, each with its own batch dimension',
    ),
  ),
  optional: one('bool', warn('has no effect: a request that leaves the input out is refused')),
  is_non_linear_format_io: one('bool', refuse(onlyTensorrt)),
});

const output = message({
  name: one('string'),
  data_type: one(dataType),
  dims: many('int64'),
  reshape: one(reshape),
  label_filename: one('string'),
  is_shape_tensor: one('bool', refuse(onlyTensorrt)),
  is_non_linear_format_io: one('bool', refuse(onlyTensorrt)),
});

const batchInput = message({
  kind: one({
    values: [
      'BATCH_ELEMENT_COUNT',
      'BATCH_ACCUMULATED_ELEMENT_COUNT',
      'BATCH_ACCUMULATED_ELEMENT_COUNT_WITH_ZERO',
      'BATCH_MAX_ELEMENT_COUNT_AS_SHAPE',
      'BATCH_ITEM_SHAPE',
      'BATCH_ITEM_SHAPE_FLATTEN',
    ],
  }),
  target_name: many('string'),
  data_type: one(dataType),
  source_input: many('string'),
});

const batchOutput = message({
  target_name: many('string'),
  kind: one({ values: ['BATCH_SCATTER_WITH_INPUT_SHAPE'] }),
  source_input: many('string'),
});

const versionPolicy = message({
  latest: eitherOf('policy_choice', one(message({ num_versions: one('uint32') }))),
  all: eitherOf('policy_choice', one(message({}))),
  specific: eitherOf('policy_choice', one(message({ versions: many('int64') }))),
});

const graphShapes = mapOf(message({ dim: many('int64') }));
const pinned = one(
  message({ enable: one('bool', warn('has no effect: ONNX Runtime manages its own memory')) }),
);
const accelerator = message({ name: one('string'), parameters: mapOf('string') });

const optimization = message({
  graph: one(message({ level: one('int32') })),
  priority: one(
    { values: ['PRIORITY_DEFAULT', 'PRIORITY_MAX', 'PRIORITY_MIN'] },
    warn('has no effect: it is of TensorRT streams; queue.weight in model.yaml shares a worker'),
  ),
  cuda: one(
    message({
      graphs: one('bool'),
      busy_wait_events: one('bool'),
      graph_spec: many(
        message({
          batch_size: one('int32'),
          input: graphShapes,
          graph_lower_bound: one(message({ batch_size: one('int32'), input: graphShapes })),
        }),
      ),
      output_copy_stream: one('bool'),
    }),
    warn('has no effect: it is of the TensorRT backend'),
  ),
  execution_accelerators: one(
    message({
      gpu_execution_accelerator: many(accelerator),
      cpu_execution_accelerator: many(accelerator),
    }),
  ),
  input_pinned_memory: pinned,
  output_pinned_memory: pinned,
  gather_kernel_buffer_threshold: one(
    'uint32',
    warn('has no effect: inputs are stacked on the CPU'),
  ),
  eager_batching: one('bool', warn('has no effect: the next batch is always prepared ahead')),
});

const queuePolicy = message({
  timeout_action: one({ values: ['REJECT', 'DELAY'] }),
  default_timeout_microseconds: one('uint64'),
  allow_timeout_override: one('bool'),
  max_queue_size: one('uint32'),
});

const dynamicBatching = message({
  preferred_batch_size: many('int32'),
  max_queue_delay_microseconds: one('uint64'),
  preserve_ordering: one(
    'bool',
    warn(
      'has no effect: batches begin in order of arrival, and each request gets its answer when it is there',
    ),
  ),
  priority_levels: one('uint64'),
  default_priority_level: one('uint64'),
  default_queue_policy: one(queuePolicy),
  priority_queue_policy: mapOf(queuePolicy),
});

const sequenceBatching = message({
  direct: eitherOf(
    'strategy_choice',
    one(
      message({
        max_queue_delay_microseconds: one('uint64'),
        minimum_slot_utilization: one('float'),
      }),
    ),
  ),
  oldest: eitherOf(
    'strategy_choice',
    one(
      message({
        max_candidate_sequences: one('int32'),
        preferred_batch_size: many('int32'),
        max_queue_delay_microseconds: one('uint64'),
        preserve_ordering: one('bool'),
      }),
    ),
  ),
  max_sequence_idle_microseconds: one('uint64'),
  control_input: many(
    message({
      name: one('string'),
      control: many(
        message({
          kind: one({
            values: [
              'CONTROL_SEQUENCE_START',
              'CONTROL_SEQUENCE_READY',
              'CONTROL_SEQUENCE_END',
              'CONTROL_SEQUENCE_CORRID',
            ],
          }),
          int32_false_true: many('int32'),
          fp32_false_true: many('float'),
          bool_false_true: many('bool'),
          data_type: one(dataType),
        }),
      ),
    }),
  ),
  state: many(
    message({
      input_name: one('string'),
      output_name: one('string'),
      data_type: one(dataType),
      dims: many('int64'),
      initial_state: many(
        message({
          data_type: one(dataType),
          dims: many('int64'),
          zero_data: eitherOf('state_data', one('bool')),
          data_file: eitherOf('state_data', one('string')),
          name: one('string'),
        }),
      ),
      use_same_buffer_for_input_output: one('bool'),
      use_growable_memory: one('bool'),
    }),
  ),
  iterative_sequence: one('bool'),
});

const ensembling = message({
  step: many(
    message({
      model_name: one('string'),
      model_version: one('int64'),
      input_map: mapOf('string'),
      output_map: mapOf('string'),
      model_namespace: one('string'),
    }),
  ),
  max_inflight_requests: one('uint32'),
});

const instanceGroup = message({
  name: one('string'),
  kind: one({ values: ['KIND_AUTO', 'KIND_GPU', 'KIND_CPU', 'KIND_MODEL'] }),
  count: one('int32'),
  rate_limiter: one(
    message({
      resources: many(message({ name: one('string'), global: one('bool'), count: one('uint32') })),
      priority: one('uint32'),
    }),
    warn('has no effect: models share a worker in run time (queue.weight in model.yaml)'),
  ),
  gpus: many('int32'),
  secondary_devices: many(
    message({ kind: one({ values: ['KIND_NVDLA'] }), device_id: one('int64') }),
    warn('has no effect: there is no provider for such devices'),
  ),
  profile: many('string', warn('has no effect: it is of TensorRT engines')),
  passive: one('bool', warn('the group makes no instances, as nothing would use them')),
  host_policy: one('string', warn('has no effect: bind the worker process to cores instead')),
});

const warmup = message({
  name: one('string'),
  batch_size: one('uint32'),
  inputs: mapOf(
    message({
      data_type: one(dataType),
      dims: many('int64'),
      zero_data: eitherOf('input_data_type', one('bool')),
      random_data: eitherOf('input_data_type', one('bool')),
      input_data_file: eitherOf('input_data_type', one('string')),
    }),
  ),
  count: one('uint32'),
});

export const modelConfigType: MessageType = message({
  name: one('string'),
  platform: one('string'),
  backend: one('string'),
  runtime: one('string'),
  version_policy: one(versionPolicy),
  max_batch_size: one('int32'),
  input: many(input),
  output: many(output),
  batch_input: many(batchInput, refuse(noRagged)),
  batch_output: many(batchOutput, refuse(noRagged)),
  optimization: one(optimization),
  dynamic_batching: eitherOf('scheduling_choice', one(dynamicBatching)),
  sequence_batching: eitherOf(
    'scheduling_choice',
    one(
      sequenceBatching,
      refuse('is not served: requests of a sequence would lose the state between them'),
    ),
  ),
  ensemble_scheduling: eitherOf('scheduling_choice', one(ensembling)),
  instance_group: many(instanceGroup),
  default_model_filename: one('string'),
  cc_model_filenames: mapOf(
    'string',
    warn('has no effect: every device gets the default model file'),
  ),
  metric_tags: mapOf('string'),
  parameters: mapOf(message({ string_value: one('string') })),
  model_warmup: many(warmup),
  model_operations: one(
    message({
      op_library_filename: many(
        'string',
        refuse('is not served: libraries of custom operators are not loaded'),
      ),
    }),
  ),
  model_transaction_policy: one(
    message({
      decoupled: one('bool', refuse('is not served: each request gets exactly one response')),
    }),
  ),
  model_repository_agents: one(
    message({ agents: many(message({ name: one('string'), parameters: mapOf('string') })) }),
    warn('has no effect: the folder is served as it is'),
  ),
  response_cache: one(message({ enable: one('bool') })),
  model_metrics: one(
    message({
      metric_control: many(
        message({
          metric_identifier: one(message({ family: one('string') })),
          histogram_options: eitherOf('metric_options', one(message({ buckets: many('double') }))),
        }),
      ),
    }),
  ),
});
