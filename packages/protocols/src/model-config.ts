/**
 * The model configuration extension (Triton, `extension_model_configuration.md`): a model as a ModelConfig in
 * JSON, with defaults. That of a Triton model repository is told as it was read; of every other model it says
 * what is done here, in Triton's words.
 */
import {
  type EnsembleSpec,
  fieldShape,
  type InstanceGroup,
  type JsonObject,
  type ModelManifest,
  type TensorSpec,
} from '@inferry/contracts';

import { platformOf } from './open-inference.ts';

const graphLevels = { basic: -1, all: 0, extended: 1, disabled: 2 } as const;

export function modelConfiguration(manifest: ModelManifest): JsonObject {
  if (manifest.modelConfig !== undefined) return manifest.modelConfig;
  const { backend, instances, maxBatchSize, name, session } = manifest;
  const accelerators = instances.some(({ kind }) => kind === 'tensorrt')
    ? { gpu_execution_accelerator: [{ name: 'tensorrt', parameters: {} }] }
    : undefined;
  return {
    name,
    platform: platformOf(manifest),
    backend: backend === 'ensemble' ? '' : backend,
    runtime: '',
    version_policy: { all: {} },
    max_batch_size: maxBatchSize,
    input: manifest.inputs.map((spec) => ({
      ...tensor(spec, maxBatchSize),
      format: 'FORMAT_NONE',
      allow_ragged_batch: false,
      optional: false,
    })),
    output: manifest.outputs.map((spec) => ({ ...tensor(spec, maxBatchSize), label_filename: '' })),
    batch_input: [],
    batch_output: [],
    optimization: {
      graph: { level: graphLevels[session.graphOptimization] },
      priority: 'PRIORITY_DEFAULT',
      ...(accelerators === undefined
        ? {}
        : { execution_accelerators: { ...accelerators, cpu_execution_accelerator: [] } }),
      gather_kernel_buffer_threshold: 0,
      eager_batching: false,
    },
    ...scheduling(manifest),
    instance_group: instances.map((group, i) => instanceGroup(group, `${name}_${i}`)),
    default_model_filename: backend === 'onnxruntime' ? 'model.onnx' : '',
    cc_model_filenames: {},
    metric_tags: {},
    parameters: { intra_op_thread_count: { string_value: String(session.intraOpThreads) } },
    model_warmup: [],
    model_transaction_policy: { decoupled: false },
  };
}

function tensor(spec: TensorSpec, maxBatchSize: number): JsonObject {
  return {
    name: spec.name,
    data_type: `TYPE_${spec.datatype === 'BYTES' ? 'STRING' : spec.datatype}`,
    dims: [...fieldShape(spec, maxBatchSize)],
    is_shape_tensor: false,
    is_non_linear_format_io: false,
  };
}

function scheduling(manifest: ModelManifest): JsonObject {
  const { ensemble } = manifest;
  if (ensemble !== undefined) return { ensemble_scheduling: ensembling(ensemble, manifest) };
  return manifest.maxBatchSize > 1 ? { dynamic_batching: batching(manifest) } : {};
}

/** Versions are numbers there: one that is none, and a label, is told as the latest. */
function ensembling({ steps }: EnsembleSpec, { concurrentMax = 0 }: ModelManifest): JsonObject {
  return {
    step: steps.map(({ inputs, model, outputs, version }) => ({
      model_name: model,
      model_version: /^[1-9]\d*$/u.test(version ?? '') ? Number(version) : -1,
      input_map: { ...inputs },
      output_map: { ...outputs },
      model_namespace: '',
    })),
    max_inflight_requests: concurrentMax,
  };
}

function batching({ linger, queueDepthMax, queueTimeoutMs = 0 }: ModelManifest): JsonObject {
  return {
    preferred_batch_size: [],
    max_queue_delay_microseconds: linger.mode === 'none' ? 0 : Math.round(linger.maxMs * 1_000),
    preserve_ordering: false,
    priority_levels: 0,
    default_priority_level: 0,
    default_queue_policy: {
      timeout_action: 'REJECT',
      default_timeout_microseconds: queueTimeoutMs * 1_000,
      allow_timeout_override: true,
      max_queue_size: queueDepthMax,
    },
    priority_queue_policy: {},
  };
}

function instanceGroup({ count, gpus = [], kind }: InstanceGroup, name: string): JsonObject {
  return {
    name,
    kind: kind === 'cpu' ? 'KIND_CPU' : 'KIND_GPU',
    count,
    gpus: [...gpus],
    secondary_devices: [],
    profile: [],
    passive: false,
    host_policy: '',
  };
}
