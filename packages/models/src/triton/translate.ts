/**
 * A version of a model of a Triton repository as a manifest: its configuration is completed, said in the words
 * of `model.yaml`, and held against its ONNX file like any other; what model.yaml has no word for is added.
 */
import {
  defaultLimits,
  type JsonObject,
  type ModelManifest,
  type TensorSpec,
} from '@inferry/contracts';
import { err, ok, type Result } from '@inferry/runtime';
import { buildManifest, type ModelParts } from '../build-manifest.ts';
import type { FileProblem } from '../file-problem.ts';
import { modelYamlSchema } from '../model-yaml-schema.ts';
import type { ParsedModelYaml } from '../model-yaml.ts';
import { type Batching, batchingOf } from './batching.ts';
import { type CompleteConfig, completeConfig } from './complete.ts';
import { Notes } from './notes.ts';
import { instancesOf, sessionOf } from './placement.ts';
import { type ConfigPath, type ReadConfig, withDefaults } from './read-config.ts';
import { firstResponseBucketsOf } from './metric-control.ts';
import { metricTagsOf } from './metric-tags.ts';
import { declaredTensors } from './tensors.ts';
import type { TritonConfig } from './triton-config.ts';
import { type WarmupFolder, warmupSamples } from './warmup.ts';

export interface TritonVersion {
  readonly name: string;
  readonly version: string;
  readonly digest: string;
  readonly read: ReadConfig;
  readonly onnx: NonNullable<ModelParts['onnx']>;
  readonly warmupFolder: WarmupFolder;
  /** By output. */
  readonly labels: Readonly<Record<string, readonly string[]>>;
}

export interface Translated {
  readonly manifest: ModelManifest;
  readonly warnings: readonly FileProblem[];
}

export function translate(version: TritonVersion): Result<Translated, readonly FileProblem[]> {
  const { labels, onnx, read, warmupFolder } = version;
  const notes = new Notes(read);
  const config = completeConfig(read.config, onnx.signature, notes);
  const inputs = declaredTensors('input', config, notes);
  const outputs = declaredTensors('output', config, notes);
  const batching = batchingOf(config, notes);
  const instances = instancesOf(config, notes);
  const session = sessionOf(config, notes);
  const metricTags = metricTagsOf(config, notes);
  const firstResponseBucketsMs = firstResponseBucketsOf(config, notes);
  const samples = warmupSamples(config, inputs, warmupFolder, notes);
  if (notes.problems.length > 0) return err(notes.problems);
  const yaml = inWordsOfYaml({ config, inputs, outputs, batching, session }, read);
  if (!yaml.ok) return yaml;
  // A configuration may leave out outputs that nobody is to get.
  const wanted = onnx.signature.outputs.filter(({ name }) => outputs.some((o) => o.name === name));
  const built = buildManifest({
    ...version,
    yaml: yaml.value,
    onnx: { ...onnx, signature: { ...onnx.signature, outputs: wanted } },
    labels: [],
    tokenizer: null,
  });
  if (!built.ok) return built;
  const { joinedRowsMax, queueTimeoutMs, queueTimeoutsMs, rowsEnough } = batching;
  const manifest: ModelManifest = {
    ...built.value,
    inputs: calledAs(built.value.inputs, inputs),
    outputs: calledAs(built.value.outputs, outputs),
    instances,
    session,
    linger: {
      ...built.value.linger,
      ...(rowsEnough < joinedRowsMax ? { rowsEnough } : {}),
    },
    ...(joinedRowsMax < config.max_batch_size ? { joinedRowsMax } : {}),
    ...(queueTimeoutMs === null ? {} : { queueTimeoutMs }),
    ...(Object.keys(queueTimeoutsMs).length === 0 ? {} : { queueTimeoutsMs }),
    ...(Object.keys(metricTags).length === 0 ? {} : { metricTags }),
    ...(firstResponseBucketsMs === null ? {} : { firstResponseBucketsMs }),
    ...(samples.length === 0 ? {} : { warmupSamples: samples }),
    ...(Object.keys(labels).length === 0 ? {} : { outputLabels: labels }),
    modelConfig: configDocument(config, version),
  };
  return ok({ manifest, warnings: notes.warnings });
}

/** Beyond it is a problem with max_batch_size, which is told once. */
const rowsMax = 65_536;

interface Said {
  readonly config: CompleteConfig;
  readonly inputs: readonly TensorSpec[];
  readonly outputs: readonly TensorSpec[];
  readonly batching: Batching;
  readonly session: ModelManifest['session'];
}

/** Tensors with the dimensions that the model itself has, as they are held against its file. */
function inWordsOfYaml(
  { batching, config, inputs, outputs, session }: Said,
  read: ReadConfig,
): Result<ParsedModelYaml, readonly FileProblem[]> {
  const { depthMax, joinedRowsMax, lingerMs, queueTimeoutMs, queueTimeoutsMs } = batching;
  const { deadlineMsDefault, deadlineMsMax } = defaultLimits;
  const longestMs = Math.max(queueTimeoutMs ?? 0, ...Object.values(queueTimeoutsMs).map(Number));
  const tensors = (specs: readonly TensorSpec[]): object[] =>
    specs.map(({ datatype, name, runShape, shape }) => ({
      name,
      dtype: datatype,
      shape: runShape ?? shape,
    }));
  const problemAt: ParsedModelYaml['problemAt'] = (path, message) =>
    read.problemAt(tritonPath(path, config), message);
  const parsed = modelYamlSchema.safeParse({
    max_batch_size: config.max_batch_size,
    ...(inputs.length > 0 ? { inputs: tensors(inputs) } : {}),
    outputs: tensors(outputs),
    // Runs of more rows than jobs share are rare, and their warm-up may take long.
    warmup: { rows: [1, Math.min(joinedRowsMax, rowsMax)] },
    queue: {
      linger: lingerMs > 0 ? 'defer' : 'none',
      max_linger_ms: lingerMs,
      ...(depthMax === null ? {} : { max_depth: depthMax }),
      ...(longestMs > deadlineMsDefault
        ? { timeout_ms: Math.min(deadlineMsMax, longestMs + deadlineMsDefault) }
        : {}),
    },
    response_cache: config.response_cache?.enable === true,
    session: {
      intra_op_threads: session.intraOpThreads,
      graph_optimization: session.graphOptimization,
    },
  });
  if (parsed.success) return ok({ config: parsed.data, problemAt });
  return err(parsed.error.issues.map(({ message, path }) => problemAt(path, message)));
}

/** Where config.pbtxt says what `model.yaml` says at a path. */
function tritonPath(path: readonly PropertyKey[], config: CompleteConfig): ConfigPath {
  const [head, index, key] = path;
  if (head === 'inputs' || head === 'outputs') {
    const side = head === 'inputs' ? 'input' : 'output';
    if (typeof index !== 'number') return [side];
    if (key === undefined || key === 'name') return [side, index, 'name'];
    if (key === 'dtype') return [side, index, 'data_type'];
    return [side, index, config[side][index]?.reshape === undefined ? 'dims' : 'reshape'];
  }
  return head === 'max_batch_size' ? ['max_batch_size'] : [];
}

/** With the dimensions that callers see; the order is that of the model's file. */
function calledAs(
  found: readonly TensorSpec[],
  declared: readonly TensorSpec[],
): readonly TensorSpec[] {
  return found.map((tensor) => declared.find(({ name }) => name === tensor.name) ?? tensor);
}

/** The whole ModelConfig as Triton would tell it, after what it fills in. */
function configDocument(config: CompleteConfig, { name }: TritonVersion): JsonObject {
  const { instance_group: groups = [] } = config;
  return withDefaults({
    ...(config as unknown as JsonObject),
    name,
    platform: 'onnxruntime_onnx',
    backend: 'onnxruntime',
    default_model_filename: modelFilenameOf(config),
    version_policy: policyDocument(config),
    instance_group: (groups.length === 0 ? [{}] : groups) as unknown as JsonObject[],
    optimization: (config.optimization ?? {}) as JsonObject,
    model_transaction_policy: { decoupled: false },
  });
}

export function policyDocument({ version_policy: policy = {} }: TritonConfig): JsonObject {
  const { latest } = policy;
  return Object.keys(policy).length === 0 || latest !== undefined
    ? { latest: { num_versions: latest?.num_versions ?? 1 } }
    : (policy as JsonObject);
}

export function modelFilenameOf({
  default_model_filename: name = '',
}: Pick<CompleteConfig, 'default_model_filename'>): string {
  return name === '' ? 'model.onnx' : name;
}
