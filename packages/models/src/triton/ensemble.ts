/** `platform: "ensemble"`: a version of it in the words of `model.yaml`. It has no model file. */
import {
  concurrentMaxDefault,
  type JsonObject,
  type ModelManifest,
  type TensorSpec,
} from '@inferry/contracts';
import { err, invariant, ok, type Result } from '@inferry/runtime';
import { buildManifest } from '../build-manifest.ts';
import type { EnsembleSource } from '../check-ensembles.ts';
import { ensembleSources } from '../ensemble-spec.ts';
import type { FileProblem } from '../file-problem.ts';
import { modelYamlSchema } from '../model-yaml-schema.ts';
import type { ParsedModelYaml } from '../model-yaml.ts';
import { firstResponseBucketsOf } from './metric-control.ts';
import { metricTagsOf } from './metric-tags.ts';
import { Notes } from './notes.ts';
import { type ConfigPath, type ReadConfig, withDefaults } from './read-config.ts';
import { declaredTensors } from './tensors.ts';
import { policyDocument } from './translate.ts';
import type { TritonConfig } from './triton-config.ts';

/** Steps that one worker is to have under way, at most. */
const concurrentMost = 1_024;
const at = 'ensemble_scheduling';
/** Of a step: the version that a request without one gets. */
const latest = -1;

export function isEnsemble({ ensemble_scheduling: scheduling, platform }: TritonConfig): boolean {
  return platform === 'ensemble' || scheduling !== undefined;
}

/** What Triton does not take of an ensemble either, and what says nothing of one. */
export function checkEnsemble(config: TritonConfig, notes: Notes): void {
  const { ensemble_scheduling: scheduling, platform = '' } = config;
  if (platform !== 'ensemble') {
    notes.problem(['platform'], 'must be "ensemble" where there is ensemble_scheduling');
  }
  if (scheduling === undefined) {
    notes.problem(['platform'], 'is "ensemble", and there is no ensemble_scheduling');
  }
  if ((config.instance_group ?? []).length > 0) {
    const message = 'is not taken of an ensemble: its steps run in the instances of their models';
    notes.problem(['instance_group'], message);
  }
  for (const side of ['input', 'output'] as const) {
    if ((config[side] ?? []).length === 0) notes.problem([side], 'is required of an ensemble');
    for (const [i, { reshape }] of (config[side] ?? []).entries()) {
      if (reshape === undefined) continue;
      const message = 'is not served of an ensemble: give the models of its steps a reshape';
      notes.problem([side, i, 'reshape'], message);
    }
  }
  for (const field of ['optimization', 'parameters', 'model_warmup'] as const) {
    if (config[field] === undefined) continue;
    notes.warn([field], 'has no effect: an ensemble has no session');
  }
  if (config.response_cache?.enable === true) {
    const message = 'has no effect: what it answers may change with the models of its steps';
    notes.warn(['response_cache', 'enable'], message);
  }
  const most = scheduling?.max_inflight_requests ?? 0;
  if (most > concurrentMost) {
    notes.warn([at, 'max_inflight_requests'], `is taken as ${concurrentMost}, the most there is`);
  }
  for (const [i, step] of (scheduling?.step ?? []).entries()) {
    const {
      model_name: name = '',
      model_namespace: space = '',
      model_version: version = -1,
    } = step;
    if (name === '') notes.problem([at, 'step', i, 'model_name'], 'is required');
    if (version !== -1 && version < 1) {
      notes.problem(
        [at, 'step', i, 'model_version'],
        `is ${version}; it is at least 1, or -1 for the latest`,
      );
    }
    if (space !== '') {
      const message = 'is not served: a name means one model, whatever the repository it lies in';
      notes.problem([at, 'step', i, 'model_namespace'], message);
    }
  }
}

export interface TritonEnsemble {
  readonly name: string;
  readonly version: string;
  readonly digest: string;
  readonly read: ReadConfig;
  /** By output. */
  readonly labels: Readonly<Record<string, readonly string[]>>;
}

export interface TranslatedEnsemble {
  readonly manifest: ModelManifest;
  readonly source: EnsembleSource;
  readonly warnings: readonly FileProblem[];
}

/** Of a configuration that {@link checkEnsemble} found nothing wrong with. */
export function translateEnsemble(
  version: TritonEnsemble,
): Result<TranslatedEnsemble, readonly FileProblem[]> {
  const { labels, read } = version;
  const notes = new Notes(read);
  const { input = [], max_batch_size: rows = 0, output = [] } = read.config;
  const config = { ...read.config, max_batch_size: rows, input, output };
  const inputs = declaredTensors('input', config, notes);
  const outputs = declaredTensors('output', config, notes);
  const metricTags = metricTagsOf(config, notes);
  const firstResponseBucketsMs = firstResponseBucketsOf(config, notes);
  if (notes.problems.length > 0) return err(notes.problems);
  const tensors = (specs: readonly TensorSpec[]): object[] =>
    specs.map(({ datatype, name, shape }) => ({ name, dtype: datatype, shape }));
  const problemAt: ParsedModelYaml['problemAt'] = (path, message) =>
    read.problemAt(configPath(path), message);
  const parsed = modelYamlSchema.safeParse({
    backend: 'ensemble',
    max_batch_size: rows,
    inputs: tensors(inputs),
    outputs: tensors(outputs),
    ensemble: section(config),
  });
  if (!parsed.success) {
    return err(parsed.error.issues.map(({ message, path }) => problemAt(path, message)));
  }
  const yaml = { config: parsed.data, problemAt };
  const built = buildManifest({ ...version, yaml, onnx: null, labels: [], tokenizer: null });
  if (!built.ok) return built;
  const manifest: ModelManifest = {
    ...built.value,
    ...(Object.keys(metricTags).length === 0 ? {} : { metricTags }),
    ...(firstResponseBucketsMs === null ? {} : { firstResponseBucketsMs }),
    ...(Object.keys(labels).length === 0 ? {} : { outputLabels: labels }),
    modelConfig: configDocument(config, version),
  };
  const [source] = ensembleSources(yaml, [manifest]);
  invariant(source !== undefined, 'one version has one source');
  return ok({ manifest, source, warnings: notes.warnings });
}

/** The section of model.yaml. */
function section({ ensemble_scheduling: scheduling }: TritonConfig): object {
  const { max_inflight_requests: most = 0, step = [] } = scheduling ?? {};
  return {
    concurrent: most === 0 ? concurrentMaxDefault : Math.min(most, concurrentMost),
    steps: step.map((one) => ({
      model: one.model_name ?? '',
      inputs: one.input_map ?? {},
      outputs: one.output_map ?? {},
      ...(versionOf(one) === latest ? {} : { version: versionOf(one) }),
    })),
  };
}

const keys: ReadonlyMap<PropertyKey, string> = new Map([
  ['inputs', 'input_map'],
  ['outputs', 'output_map'],
  ['model', 'model_name'],
  ['version', 'model_version'],
  ['dtype', 'data_type'],
  ['shape', 'dims'],
]);

/** Where config.pbtxt says what `model.yaml` says at a path. */
function configPath([head, ...rest]: readonly PropertyKey[]): ConfigPath {
  const step = (key: PropertyKey): string | number =>
    typeof key === 'number' ? key : String(keys.get(key) ?? key);
  if (head === 'max_batch_size') return ['max_batch_size'];
  if (head === 'inputs') return ['input', ...rest.map(step)];
  if (head === 'outputs') return ['output', ...rest.map(step)];
  const [member, index, key, name] = rest;
  if (head !== 'ensemble' || member !== 'steps') return [at];
  if (typeof index !== 'number') return [at, 'step'];
  const own = key === undefined ? [] : [step(key)];
  return [at, 'step', index, ...own, ...(name === undefined ? [] : [String(name)])];
}

/** The whole ModelConfig as Triton would tell it, after what it fills in. */
function configDocument(config: TritonConfig, { name }: TritonEnsemble): JsonObject {
  const { ensemble_scheduling: scheduling = {} } = config;
  const steps = (scheduling.step ?? []).map((one) => ({ ...one, model_version: versionOf(one) }));
  return withDefaults({
    ...(config as unknown as JsonObject),
    name,
    platform: 'ensemble',
    version_policy: policyDocument(config),
    ensemble_scheduling: { ...scheduling, step: steps },
    optimization: (config.optimization ?? {}) as JsonObject,
    model_transaction_policy: { decoupled: false },
  });
}

function versionOf({
  model_version: version = latest,
}: {
  readonly model_version?: number;
}): number {
  return version;
}
