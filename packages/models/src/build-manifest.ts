/**
 * Makes the manifest of one version out of its `model.yaml`, its ONNX signature and its labels, with
 * every default filled in. All contradictions between them are found at once.
 */
import type { ModelManifest, SimulatedSpec, TensorSpec } from '@inferry/contracts';
import { err, ok, type Result } from '@inferry/runtime';
import { admissionSpec, lingerSpec } from './admission-spec.ts';
import { ensembleParts } from './ensemble-spec.ts';
import type { FileProblem } from './file-problem.ts';
import type { ParsedModelYaml } from './model-yaml.ts';
import type { OnnxSignature } from './onnx-signature.ts';
import type { TokenizerFile } from './tokenizer-file.ts';
import type { ProcessorFiles } from './processor-files.ts';
import { processorParts } from './processor-spec.ts';
import { postprocessSpec, preprocessSpec } from './pipeline-specs.ts';
import { agreedTensors, declaredTensors, shapeText, type Side } from './signature-agreement.ts';

/** For a model with a batch dimension that does not say otherwise. */
const maxBatchSizeDefault = 8;

export interface ModelParts {
  readonly name: string;
  readonly version: string;
  readonly digest: string;
  readonly yaml: ParsedModelYaml;
  /** Null for a model without a file. */
  readonly onnx: {
    /** Absolute path, for the worker that opens it. */
    readonly file: string;
    /** The same path as the operator gave it, for problems. */
    readonly shownFile: string;
    readonly signature: OnnxSignature;
  } | null;
  /** Empty without a postprocessor that has labels. */
  readonly labels: readonly string[];
  /** Null without a text section. */
  readonly tokenizer: TokenizerFile | null;
  /** Only with backend: processor. */
  readonly processor?: ProcessorFiles | null;
}

export function buildManifest(parts: ModelParts): Result<ModelManifest, readonly FileProblem[]> {
  const problems: FileProblem[] = [];
  const { yaml, onnx } = parts;
  const { config } = yaml;
  const inputs = tensors('inputs', parts, problems);
  const outputs = tensors('outputs', parts, problems);
  if (config.backend === 'simulated') checkEcho(yaml, inputs, outputs, problems);
  const processor = processorParts(yaml, parts.processor ?? null, problems);
  const ensemble = ensembleParts(yaml, { inputs, outputs }, problems);
  const isComposed = processor !== null || ensemble !== null;
  if (isComposed && config.response_cache) {
    const message = 'must be false: what it answers may change with the models that it runs';
    problems.push(yaml.problemAt(['response_cache'], message));
  }
  const maxBatchSize = processor === null ? batchSize(yaml, inputs, outputs, problems) : 0;
  const manifest: ModelManifest = {
    name: parts.name,
    version: parts.version,
    digest: parts.digest,
    backend: config.backend,
    file: onnx?.file ?? null,
    fileBytes: onnx?.signature.fileBytes ?? 0,
    maxBatchSize,
    instances: ensemble === null ? config.instances : [],
    inputs,
    outputs,
    preprocess: preprocessSpec(
      yaml,
      inputs,
      { maxBatchSize, tokenizer: parts.tokenizer },
      problems,
    ),
    postprocess: postprocessSpec(yaml, outputs, parts.labels, problems),
    simulated: simulatedSpec(yaml, problems),
    ...processor,
    ...ensemble,
    latencyTargetMs: config.latency_target_ms ?? null,
    linger: lingerSpec(yaml),
    admission: admissionSpec(yaml, problems),
    queueDepthMax: config.queue.max_depth,
    agingMs: config.queue.max_age_ms,
    weight: config.queue.weight,
    timeoutMs: config.queue.timeout_ms,
    executionTimeoutMs: config.execution_timeout_ms,
    session: {
      intraOpThreads: config.session.intra_op_threads,
      graphOptimization: config.session.graph_optimization,
    },
    warmupRows: isComposed ? [] : warmupRows(yaml, maxBatchSize, problems),
    ...(config.response_cache ? { hasResponseCache: true } : {}),
  };
  return problems.length === 0 ? ok(manifest) : err(problems);
}

function tensors(side: Side, parts: ModelParts, problems: FileProblem[]): TensorSpec[] {
  const { yaml, onnx } = parts;
  const declared = declaredTensors(yaml, side) ?? [];
  for (const [i, { name }] of declared.entries()) {
    if (declared.findIndex((other) => other.name === name) === i) continue;
    problems.push(yaml.problemAt([side, i, 'name'], `"${name}" is there twice`));
  }
  if (onnx !== null) {
    return agreedTensors(side, onnx.signature[side], yaml, onnx.shownFile, problems);
  }
  if (declared.length === 0) {
    problems.push(yaml.problemAt([side], `is required with backend: ${yaml.config.backend}`));
  }
  return declared;
}

/** A simulated model answers its inputs, in order, under the names of its outputs. */
function checkEcho(
  yaml: ParsedModelYaml,
  inputs: readonly TensorSpec[],
  outputs: readonly TensorSpec[],
  problems: FileProblem[],
): void {
  for (const [i, output] of outputs.entries()) {
    const input = inputs[i];
    if (input?.datatype === output.datatype && shapeText(input.shape) === shapeText(output.shape)) {
      continue;
    }
    const message = `a simulated model answers its inputs unchanged: needs the datatype and shape of inputs.${i}`;
    problems.push(yaml.problemAt(['outputs', i], message));
  }
}

/** Rows in one run; 0 unless the first dimension of every input and output varies. */
function batchSize(
  yaml: ParsedModelYaml,
  inputs: readonly TensorSpec[],
  outputs: readonly TensorSpec[],
  problems: FileProblem[],
): number {
  const fixed = [...inputs, ...outputs].filter((tensor) => tensor.shape[0] !== -1);
  const size = yaml.config.max_batch_size;
  if (size === undefined) return inputs.length > 0 && fixed.length === 0 ? maxBatchSizeDefault : 0;
  if (size > 0 && inputs.length === 0) {
    problems.push(yaml.problemAt(['max_batch_size'], 'must be 0: the model has no input'));
  }
  for (const tensor of size > 0 ? fixed : []) {
    const message = `must be 0: the first dimension of "${tensor.name}" ${shapeText(tensor.shape)} does not vary`;
    problems.push(yaml.problemAt(['max_batch_size'], message));
  }
  return size;
}

function warmupRows(
  yaml: ParsedModelYaml,
  maxBatchSize: number,
  problems: FileProblem[],
): readonly number[] {
  const most = Math.max(1, maxBatchSize);
  const rows = yaml.config.warmup.rows ?? [1, most];
  for (const [i, count] of rows.entries()) {
    if (count <= most) continue;
    problems.push(yaml.problemAt(['warmup', 'rows', i], `is above the batch size, ${most}`));
  }
  return [...new Set(rows)];
}

function simulatedSpec(yaml: ParsedModelYaml, problems: FileProblem[]): SimulatedSpec | null {
  const { backend, simulated } = yaml.config;
  if (backend !== 'simulated') {
    if (simulated !== undefined) {
      problems.push(yaml.problemAt(['simulated'], 'is for backend: simulated only'));
    }
    return null;
  }
  return {
    runMs: simulated?.run_ms ?? 0,
    rowMs: simulated?.row_ms ?? 0,
    failOn: simulated?.fail_on ?? null,
    hangOn: simulated?.hang_on ?? null,
    crashOn: simulated?.crash_on ?? null,
  };
}
