/** Where and how the model runs: `instance_group`, `optimization` and `parameters`. */
import type { InstanceGroup, ModelManifest } from '@inferry/contracts';
import type { Notes } from './notes.ts';
import type { ConfigPath } from './read-config.ts';
import type { TritonAccelerator, TritonConfig, TritonInstanceGroup } from './triton-config.ts';

/** Of a group that gives no count, as Triton has it for models of ONNX Runtime. */
const cpuCountDefault = 2;
const gpuCountDefault = 1;
const countMax = 64;

/** Groups of kind AUTO, and a model without groups, have instances on whatever device a worker has. */
export function instancesOf(config: TritonConfig, notes: Notes): readonly InstanceGroup[] {
  const gpuKind = gpuKindOf(config, notes);
  const groups = config.instance_group ?? [];
  const made = (groups.length > 0 ? groups : [{}]).flatMap((group: TritonInstanceGroup, i) =>
    group.passive === true ? [] : instancesOfGroup(group, gpuKind, ['instance_group', i], notes),
  );
  if (made.length === 0) notes.problem(['instance_group'], 'all groups are passive');
  return made;
}

function instancesOfGroup(
  { count = 0, gpus = [], kind = 'KIND_AUTO' }: TritonInstanceGroup,
  gpuKind: 'cuda' | 'tensorrt',
  path: ConfigPath,
  notes: Notes,
): readonly InstanceGroup[] {
  if (count < 0 || count > countMax) {
    notes.problem([...path, 'count'], `is ${count}; it must be from 1 to ${countMax}`);
    return [{ kind: 'cpu', count: 1 }];
  }
  if (gpus.length > 0 && kind === 'KIND_CPU') {
    notes.problem([...path, 'gpus'], 'must be empty with KIND_CPU');
  }
  const onGpu: InstanceGroup = {
    kind: gpuKind,
    count: count === 0 ? gpuCountDefault : count,
    ...(gpus.length === 0 ? {} : { gpus }),
  };
  const onCpu: InstanceGroup = { kind: 'cpu', count: count === 0 ? cpuCountDefault : count };
  if (kind === 'KIND_MODEL') {
    notes.warn(
      [...path, 'kind'],
      'KIND_MODEL is taken as KIND_AUTO: the worker chooses the device',
    );
  }
  if (kind === 'KIND_CPU') return [onCpu];
  return kind === 'KIND_GPU' || gpus.length > 0 ? [onGpu] : [onGpu, onCpu];
}

const acceleratorsAt = ['optimization', 'execution_accelerators'];

function gpuKindOf({ optimization }: TritonConfig, notes: Notes): 'cuda' | 'tensorrt' {
  const { cpu_execution_accelerator: cpu = [], gpu_execution_accelerator: gpu = [] } =
    optimization?.execution_accelerators ?? {};
  for (const [i, { name = '' }] of cpu.entries()) {
    const message = `"${name}" has no effect: the CPU provider of ONNX Runtime is used`;
    notes.warn([...acceleratorsAt, 'cpu_execution_accelerator', i], message);
  }
  for (const [i, accelerator] of gpu.entries()) {
    warnOfParameters(accelerator, [...acceleratorsAt, 'gpu_execution_accelerator', i], notes);
  }
  return gpu.some(({ name }) => name === 'tensorrt') ? 'tensorrt' : 'cuda';
}

function warnOfParameters(
  { name = '', parameters = {} }: TritonAccelerator,
  path: ConfigPath,
  notes: Notes,
): void {
  if (name !== 'tensorrt' && name !== 'cuda') {
    notes.warn(path, `"${name}" has no effect: known here are tensorrt and cuda`);
    return;
  }
  for (const key of Object.keys(parameters)) {
    const message = `has no effect: ONNX Runtime for Node takes no options of the ${name} provider`;
    notes.warn([...path, 'parameters', key], message);
  }
}

type Session = ModelManifest['session'];

const graphLevels: Readonly<Record<string, Session['graphOptimization']>> = {
  '-1': 'basic',
  '0': 'all',
  '1': 'extended',
  '2': 'disabled',
};
const threadsMax = 1_024;
const notPassedOn: ReadonlySet<string> = new Set([
  'memory.enable_memory_arena_shrinkage',
  'session.use_device_allocator_for_initializers',
  'cudnn_conv_algo_search',
  'cudnn_conv_use_max_workspace',
  'cudnn_conv1d_pad_to_nc1d',
  'gpu_mem_limit',
  'arena_extend_strategy',
  'do_copy_in_default_stream',
  'gpu_external_alloc',
  'gpu_external_free',
  'gpu_external_empty_cache',
  'enable_cuda_graph',
  'enable_skip_layer_norm_strict_mode',
  'prefer_nhwc',
  'use_ep_level_unified_stream',
  'use_tf32',
  'profiling',
]);

export function sessionOf({ optimization, parameters = {} }: TritonConfig, notes: Notes): Session {
  const level = optimization?.graph?.level ?? 0;
  const graphOptimization = graphLevels[String(level)];
  if (graphOptimization === undefined) {
    const message = `is ${level}, which is taken as 0; known are -1, 0, 1 and 2`;
    notes.warn(['optimization', 'graph', 'level'], message);
  }
  const values = new Map(
    Object.entries(parameters).map(([key, { string_value: value = '' }]) => [key, value]),
  );
  const reader = new ParameterReader(values, notes);
  const interOpThreads = reader.integer('inter_op_thread_count', threadsMax);
  const hasMemoryArena = reader.truth('enable_mem_arena');
  const hasMemoryPattern = reader.truth('enable_mem_pattern');
  const isParallel = reader.integer('execution_mode', 1) === 1;
  const session: Session = {
    intraOpThreads: reader.integer('intra_op_thread_count', threadsMax) ?? 0,
    graphOptimization: graphOptimization ?? 'all',
    ...(isParallel ? { executionMode: 'parallel' } : {}),
    // 0 lets ONNX Runtime choose.
    ...(interOpThreads === undefined ? {} : { interOpThreads }),
    ...(hasMemoryArena === undefined ? {} : { hasMemoryArena }),
    ...(hasMemoryPattern === undefined ? {} : { hasMemoryPattern }),
  };
  reader.warnOfOthers();
  return session;
}

const truths: Readonly<Record<string, boolean>> = {
  '1': true,
  on: true,
  true: true,
  '0': false,
  off: false,
  false: false,
};

class ParameterReader {
  readonly #values: Map<string, string>;
  readonly #notes: Notes;

  constructor(values: Map<string, string>, notes: Notes) {
    this.#values = values;
    this.#notes = notes;
  }

  integer(key: string, max: number): number | undefined {
    const text = this.#take(key);
    if (text === undefined) return undefined;
    if (/^\d{1,9}$/u.test(text) && Number(text) <= max) return Number(text);
    const message = `is ${JSON.stringify(text)}; it must be a whole number from 0 to ${max}`;
    this.#notes.problem(['parameters', key], message);
    return undefined;
  }

  truth(key: string): boolean | undefined {
    const text = this.#take(key);
    if (text === undefined) return undefined;
    const value = Object.hasOwn(truths, text.toLowerCase())
      ? truths[text.toLowerCase()]
      : undefined;
    if (value === undefined) {
      const message = `is ${JSON.stringify(text)}; it must be true or false, 1 or 0`;
      this.#notes.problem(['parameters', key], message);
    }
    return value;
  }

  warnOfOthers(): void {
    for (const key of this.#values.keys()) {
      const message = notPassedOn.has(key)
        ? 'has no effect: ONNX Runtime for Node does not take it'
        : 'is not known here and has no effect';
      this.#notes.warn(['parameters', key], message);
    }
  }

  #take(key: string): string | undefined {
    const text = this.#values.get(key)?.trim();
    this.#values.delete(key);
    return text;
  }
}
