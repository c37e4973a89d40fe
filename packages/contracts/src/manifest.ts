/**
 * A model as the system knows it: what model.yaml says, completed by what the ONNX file says, with all
 * defaults filled in. Plain data: it travels to threads and through the registry.
 */
import type { Priority } from './job.ts';
import type { JsonObject } from './json.ts';
import type { Limits } from './limits.ts';
import type { PostprocessSpec, PreprocessSpec } from './pipeline-spec.ts';
import type { Datatype, TensorSpec } from './tensor.ts';

export type ProviderKind = 'cpu' | 'cuda' | 'tensorrt';

export interface InstanceGroup {
  readonly kind: ProviderKind;
  /** Sessions, each with a compute thread of its own, in every worker process. */
  readonly count: number;
  /** Ordinals of the devices that have them; absent for all devices of the kind. */
  readonly gpus?: readonly number[];
}

/** A run before the model is ready, with inputs that its operator chose. */
export interface WarmupSample {
  readonly rows: number;
  /** So often, at least once. */
  readonly count: number;
  /** One for each input of the model. */
  readonly inputs: readonly WarmupInput[];
}

export interface WarmupInput {
  readonly name: string;
  readonly datatype: Datatype;
  /** Of all rows, as callers give it. */
  readonly shape: readonly number[];
  /** zero: zeros or empty texts; random: small numbers, the same each time; or a file with the raw bytes of one row, which all rows have. */
  readonly data: 'zero' | 'random' | { readonly file: string };
}

/**
 * A stand-in for a model that costs what it is told to cost: for load tests and drills without the
 * hardware. Answers each input unchanged under its output's name.
 */
export interface SimulatedSpec {
  /** A run of n rows takes `runMs + n * rowMs`, asleep (no CPU). */
  readonly runMs: number;
  readonly rowMs: number;
  /** A row whose first value equals one of these makes the run throw, hang for good, or abort the process. */
  readonly failOn: number | null;
  readonly hangOn: number | null;
  readonly crashOn: number | null;
}

/**
 * Whether a free slot waits for a fuller batch, at most `maxMs`. none: never. auto: when recent arrivals
 * and the cost of a run say that it pays. defer: always, until the batch is full or the time is over.
 */
export interface LingerSpec {
  readonly mode: 'none' | 'auto' | 'defer';
  readonly maxMs: number;
  /** So many rows wait for no more; absent: a full batch. */
  readonly rowsEnough?: number;
}

/**
 * Which held requests are refused at the door. target: those not expected to end within `budgetMs`; timeout:
 * within their own time limit; depth: none, only the bounds of the queue hold; off: only those of the server.
 */
export interface AdmissionSpec {
  readonly mode: 'target' | 'timeout' | 'depth' | 'off';
  /** From headers read to answer; null unless the mode is target. */
  readonly budgetMs: number | null;
  /** What becomes of a request that would be late: refused, or accepted as a job to come back for. */
  readonly onInfeasible: 'refuse' | 'accept';
}

/** A model that an ensemble runs, on tensors of the request and of other steps. */
export interface EnsembleStep {
  readonly model: string;
  /** Null: the version that a request without one gets, chosen once a job. */
  readonly version: string | null;
  /** The ensemble's name of what each input of the model is given. */
  readonly inputs: Readonly<Record<string, string>>;
  /** The ensemble's name of each output that is used. */
  readonly outputs: Readonly<Record<string, string>>;
}

export interface EnsembleSpec {
  /** Each runs as soon as all its inputs are there. */
  readonly steps: readonly EnsembleStep[];
}

/** A program of the operator, in place of a model file. */
export interface ProcessorSpec {
  /** Absolute path of `processor.ts`, `.js` or `.mjs`. Only workers open it. */
  readonly file: string;
  /** Models it may run, as callers name them; the first is run where it names none. */
  readonly runs: readonly string[];
  /** Steps of one job. */
  readonly stepsMax: number;
}

export interface ModelManifest {
  readonly name: string;
  readonly version: string;
  /** sha256 of the model file and its model.yaml, hex. */
  readonly digest: string;
  /** ensemble and processor are composed: their steps are jobs of other models. */
  readonly backend: 'onnxruntime' | 'simulated' | 'ensemble' | 'processor';
  /** Absolute path of model.onnx; null for a simulated model. Only workers open it. */
  readonly file: string | null;
  /** Bytes of the model file. */
  readonly fileBytes: number;
  /** Largest number of rows in one run; 0 when the model has no batch dimension (one job a run). */
  readonly maxBatchSize: number;
  /** Jobs share a run up to so many rows; one that has more runs alone. Absent: {@link maxBatchSize}. */
  readonly joinedRowsMax?: number;
  readonly instances: readonly InstanceGroup[];
  readonly inputs: readonly TensorSpec[];
  readonly outputs: readonly TensorSpec[];
  readonly preprocess: PreprocessSpec;
  readonly postprocess: PostprocessSpec;
  readonly simulated: SimulatedSpec | null;
  readonly ensemble?: EnsembleSpec;
  readonly processor?: ProcessorSpec;
  /** Jobs of a composed model that one worker has under way at most; absent for every other model. */
  readonly concurrentMax?: number;
  /** Desired time from acceptance to answer: bounds the batch and its wait; null when not set. */
  readonly latencyTargetMs: number | null;
  readonly linger: LingerSpec;
  readonly admission: AdmissionSpec;
  readonly queueDepthMax: number;
  /** Where several tenants wait: a job older than this is taken before younger ones that are due. */
  readonly agingMs: number;
  /** Share of a worker's run time against the other models it serves, while all of them have work. */
  readonly weight: number;
  /** Default deadline of a job, in ms from acceptance. */
  readonly timeoutMs: number;
  /** A job must have started within this time, in ms from acceptance; absent: within its deadline. */
  readonly queueTimeoutMs?: number;
  /** In place of it, for jobs of a priority; null: within their deadlines. */
  readonly queueTimeoutsMs?: Readonly<Partial<Record<Priority, number | null>>>;
  readonly executionTimeoutMs: number;
  readonly session: {
    /** Threads inside one run; 0 lets ONNX Runtime choose. */
    readonly intraOpThreads: number;
    readonly graphOptimization: 'disabled' | 'basic' | 'extended' | 'all';
    /** Threads across branches of the graph, where it runs in parallel; absent: 1. */
    readonly interOpThreads?: number;
    /** Absent: one branch after the other. */
    readonly executionMode?: 'sequential' | 'parallel';
    /** Absent: true, both. */
    readonly hasMemoryArena?: boolean;
    readonly hasMemoryPattern?: boolean;
  };
  /** Warm-up runs before the model counts as ready: for each row count one discarded, one timed. */
  readonly warmupRows: readonly number[];
  /** Runs before those; they have the dimensions of the first. Absent: none. */
  readonly warmupSamples?: readonly WarmupSample[];
  /** By output: the names of its classes, for the classification extension. Absent: those of {@link postprocess}. */
  readonly outputLabels?: Readonly<Record<string, readonly string[]>>;
  /** Gateways answer requests with the same input from memory. Absent: false. */
  readonly hasResponseCache?: boolean;
  /** Labels of its series among Triton's metrics, there with `_` in front of each name. Absent: none. */
  readonly metricTags?: Readonly<Record<string, string>>;
  /** Upper bounds of the first response among them, in ms and increasing; the last is that of all. Absent: Triton's own. */
  readonly firstResponseBucketsMs?: readonly number[];
  /** What a Triton model repository says of the model, completed; absent for every other model. */
  readonly modelConfig?: JsonObject;
}

/**
 * The inputs with the dimensions of the largest run that the model's pipeline makes: texts have their full
 * length. For runs that are to show what the model costs.
 */
export function fullInputs({ inputs, preprocess }: ModelManifest): readonly TensorSpec[] {
  if (preprocess.kind !== 'text') return inputs;
  const { lengthMax } = preprocess;
  return inputs.map((input) => ({ ...input, shape: [input.shape[0] ?? -1, lengthMax] }));
}

/** What a model takes and gives when it is not addressed by raw tensors. */
export function hasPipeline(manifest: ModelManifest): boolean {
  return manifest.preprocess.kind !== 'none';
}

/** Jobs of a composed model that a worker has under way at most, unless the model says otherwise. */
export const concurrentMaxDefault = 64;

/** Composed models in each other, at most: what is deeper is a mistake, or a circle. */
export const nestedStepsMax = 16;

/** A job of the priority must have started within this time, in ms from acceptance; infinite: within its deadline. */
export function queueTimeoutOf(
  { queueTimeoutMs, queueTimeoutsMs = {} }: ModelManifest,
  priority: Priority,
): number {
  const own = queueTimeoutsMs[priority];
  return (own === undefined ? queueTimeoutMs : own) ?? Infinity;
}

/** Its jobs may tell parts of their answers before they end. */
export function emitsPartials({ backend }: ModelManifest): boolean {
  return backend === 'processor';
}

/** How often a job of the model may start at most, when workers are lost under it. */
export function attemptsMaxOf(
  { backend }: Pick<ModelManifest, 'backend'>,
  { attemptsMax, ensembleAttemptsMax }: Pick<Limits, 'attemptsMax' | 'ensembleAttemptsMax'>,
): number {
  return backend === 'ensemble' ? ensembleAttemptsMax : attemptsMax;
}

/** Its jobs run no session: they are made of jobs of other models. */
export function isComposed({ backend }: ModelManifest): boolean {
  return backend === 'ensemble' || backend === 'processor';
}

/** The models that a composed one runs, or may run, as callers name them; none for every other. */
export function modelsRunBy({
  ensemble,
  processor,
}: Pick<ModelManifest, 'ensemble' | 'processor'>): readonly Pick<
  EnsembleStep,
  'model' | 'version'
>[] {
  const loops = (processor?.runs ?? []).map((model) => ({ model, version: null }));
  return [...(ensemble?.steps ?? []), ...loops];
}
