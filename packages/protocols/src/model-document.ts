/**
 * A model as `GET /v1/models` shows it. One object for three kinds of clients: ours, TensorFlow
 * Serving's (`model_version_status`) and KServe's V1 (`name`, `ready`).
 */
import {
  type Datatype,
  fieldShape,
  hasPipeline,
  type JsonObject,
  type Limits,
  type ModelManifest,
  type PostprocessSpec,
  type TabularColumn,
  type TensorSpec,
} from '@inferry/contracts';
import { z } from 'zod';

const statuses = ['ready', 'loading', 'failed', 'unavailable', 'retiring', 'unloaded'] as const;
type ModelStatus = (typeof statuses)[number];

/** What is known of a model at this moment, beyond its manifest. */
interface ModelState {
  /** From the oldest to the latest. */
  readonly versions: readonly {
    readonly version: string;
    readonly state: ModelStatus;
    /** Live workers that have it loaded. */
    readonly readyWorkers: number;
    /** Why workers could not load it, where any could not. */
    readonly failure: string | null;
  }[];
  readonly defaultVersion: string;
  /** The version of each. */
  readonly labels: Readonly<Record<string, string>>;
  /** Of requests that name no version. */
  readonly shares: readonly { readonly version: string; readonly weight: number }[];
  readonly status: ModelStatus;
  readonly isReady: boolean;
  /** Null when the queue cannot be reached. */
  readonly queue: {
    readonly queued: number;
    readonly running: number;
    readonly oldestMs: number;
  } | null;
  /** Live workers that have this version loaded. */
  readonly workers: { readonly ready: number };
}

const jsonSchema = z.record(z.string(), z.unknown());

export const modelSchema = z
  .strictObject({
    object: z.literal('model'),
    id: z.string(),
    name: z.string(),
    ready: z.boolean().describe('A worker has this version loaded, and all that it runs.'),
    version: z.string(),
    versions: z.array(z.string()).describe('Those that may be requested, the oldest first.'),
    default_version: z.string().describe('For requests without one, where no traffic is shared.'),
    labels: z.record(z.string(), z.string()).describe('The version that each stands for now.'),
    traffic: z
      .array(z.strictObject({ version: z.string(), weight: z.int() }))
      .describe('Where requests that name no version go now.'),
    status: z.enum(statuses),
    version_status: z.array(
      z.strictObject({
        version: z.string(),
        status: z.enum(statuses),
        ready_workers: z.int(),
        failure: z.string().nullable().describe('Why workers could not load it.'),
      }),
    ),
    input_schema: jsonSchema.describe('JSON Schema of `input` in a submit.'),
    output_schema: jsonSchema.describe('JSON Schema of `output` of a job.'),
    limits: z.strictObject({
      max_body_bytes: z.int(),
      max_batch: z.int(),
      execution_timeout_ms: z.int(),
      deadline_ms: z.int(),
    }),
    queue: z
      .strictObject({ queued: z.int(), running: z.int(), oldest_ms: z.int() })
      .nullable()
      .describe('Null when the queue cannot be reached.'),
    workers: z.strictObject({ ready: z.int() }),
    model_version_status: z.array(
      z.strictObject({
        version: z.string(),
        state: z.enum(['AVAILABLE', 'LOADING', 'UNLOADING', 'END']),
        status: z.strictObject({ error_code: z.string(), error_message: z.string() }),
      }),
    ),
  })
  .meta({ description: 'A served model.' });

export const modelListSchema = z.strictObject({
  object: z.literal('list'),
  data: z.array(modelSchema),
  models: z.array(z.string()).describe('The names, as KServe V1 lists them.'),
});

const servingStates = {
  ready: 'AVAILABLE',
  loading: 'LOADING',
  failed: 'END',
  unavailable: 'END',
  retiring: 'UNLOADING',
  unloaded: 'END',
} as const;

/** No new job is accepted for a version in one of these. */
const leaving: ReadonlySet<ModelStatus> = new Set(['retiring', 'unloaded']);

export function modelDocument(
  manifest: ModelManifest,
  state: ModelState,
  limits: Limits,
): z.infer<typeof modelSchema> {
  return {
    object: 'model',
    id: manifest.name,
    name: manifest.name,
    ready: state.isReady,
    version: manifest.version,
    versions: state.versions.filter((one) => !leaving.has(one.state)).map(({ version }) => version),
    default_version: state.defaultVersion,
    labels: { ...state.labels },
    traffic: state.shares.map(({ version, weight }) => ({ version, weight })),
    status: state.status,
    version_status: state.versions.map((one) => ({
      version: one.version,
      status: one.state,
      ready_workers: one.readyWorkers,
      failure: one.failure,
    })),
    input_schema: inputSchema(manifest),
    output_schema: outputSchema(manifest),
    limits: {
      max_body_bytes: limits.bodyBytesMax,
      max_batch: Math.max(1, manifest.maxBatchSize),
      execution_timeout_ms: manifest.executionTimeoutMs,
      deadline_ms: manifest.timeoutMs,
    },
    queue:
      state.queue === null
        ? null
        : {
            queued: state.queue.queued,
            running: state.queue.running,
            oldest_ms: Math.round(state.queue.oldestMs),
          },
    workers: { ...state.workers },
    // The latest first, as TensorFlow Serving has them.
    model_version_status: state.versions.toReversed().map((one) => ({
      version: one.version,
      state: servingStates[one.state],
      status:
        one.state === 'failed'
          ? { error_code: 'INTERNAL', error_message: one.failure ?? '' }
          : { error_code: 'OK', error_message: '' },
    })),
  };
}

/** JSON Schema of `input`: the pipeline's fields where the model has a pipeline, or raw tensors. */
function inputSchema(manifest: ModelManifest): JsonObject {
  const tensors = tensorsSchema('inputs', manifest);
  switch (manifest.preprocess.kind) {
    case 'none':
      return tensors;
    case 'image': {
      const image = {
        type: 'object',
        description: 'An encoded image (PNG, JPEG, WebP...).',
        properties: {
          $b64: { type: 'string' },
          $part: { type: 'string' },
          media_type: { type: 'string' },
        },
      };
      return { anyOf: [strictObject({ [manifest.preprocess.input]: image }), tensors] };
    }
    case 'text': {
      const { bytesMax, input } = manifest.preprocess;
      const description = `At most ${bytesMax} bytes in UTF-8.`;
      return { anyOf: [strictObject({ [input]: { type: 'string', description } }), tensors] };
    }
    case 'tensor':
      return { anyOf: [fieldsSchema(manifest.inputs, manifest), tensors] };
    case 'tabular': {
      const { columns } = manifest.preprocess;
      const properties = columns.map((column) => [column.name, columnSchema(column)]);
      const required = columns.filter((column) => column.default === undefined);
      const row = {
        ...strictObject(Object.fromEntries(properties) as JsonObject),
        required: required.map(({ name }) => name),
      };
      return { anyOf: [row, tensors] };
    }
  }
}

/** Nested arrays for each of these tensors, without the batch dimension. */
function fieldsSchema(specs: readonly TensorSpec[], { maxBatchSize }: ModelManifest): JsonObject {
  return strictObject(
    Object.fromEntries(
      specs.map((spec) => [
        spec.name,
        fieldShape(spec, maxBatchSize).reduceRight(nestedSchema, elementSchema(spec.datatype)),
      ]),
    ),
  );
}

function nestedSchema(items: JsonObject, size: number): JsonObject {
  return { type: 'array', items, ...(size === -1 ? {} : { minItems: size, maxItems: size }) };
}

/** Floats may be the words for what JSON has no number for, 64-bit integers decimal text. */
function elementSchema(datatype: Datatype): JsonObject {
  switch (datatype) {
    case 'BOOL':
      return { type: 'boolean' };
    case 'BYTES':
      return { type: 'string' };
    case 'FP16':
    case 'BF16':
    case 'FP32':
    case 'FP64':
      return { anyOf: [{ type: 'number' }, { enum: ['NaN', 'Infinity', '-Infinity'] }] };
    case 'INT64':
    case 'UINT64':
      return { anyOf: [{ type: 'integer' }, { type: 'string' }] };
    default:
      return { type: 'integer' };
  }
}

function columnSchema(column: TabularColumn): JsonObject {
  const orNull = column.default === undefined ? [] : [null];
  const type = (name: string): JsonObject => ({
    type: orNull.length === 0 ? name : [name, 'null'],
  });
  switch (column.kind) {
    case 'number':
      return {
        ...type('number'),
        ...(column.min === undefined ? {} : { minimum: column.min }),
        ...(column.max === undefined ? {} : { maximum: column.max }),
      };
    case 'boolean':
      return type('boolean');
    case 'category':
      return { enum: [...column.values, ...orNull] };
  }
}

/** JSON Schema of `output`, for the answer to a pipeline input and to raw tensors. */
function outputSchema(manifest: ModelManifest): JsonObject {
  const tensors = tensorsSchema('outputs', manifest);
  if (!hasPipeline(manifest)) return tensors;
  return { anyOf: [answerSchema(manifest.postprocess, manifest), tensors] };
}

function answerSchema(spec: PostprocessSpec, manifest: ModelManifest): JsonObject {
  if (spec.kind === 'none') return {};
  if (spec.kind === 'tensor') {
    const read = manifest.outputs.filter(({ name }) => spec.outputs.includes(name));
    return fieldsSchema(read, manifest);
  }
  const score = {
    label: { type: 'string', enum: [...spec.labels] },
    score: { type: 'number' },
  };
  if (spec.kind === 'classify') {
    return strictObject({ ...score, top_k: { type: 'array', items: strictObject(score) } });
  }
  const side = { type: 'number', minimum: 0 };
  const box = {
    ...strictObject({ x: side, y: side, width: side, height: side }),
    description: 'In pixels of the image that was sent, from its left top corner.',
  };
  const detections = {
    type: 'array',
    maxItems: spec.detectionsMax,
    items: strictObject({ ...score, box }),
  };
  return strictObject({ detections });
}

function strictObject(properties: JsonObject): JsonObject {
  return {
    type: 'object',
    properties,
    required: Object.keys(properties),
    additionalProperties: false,
  };
}

function tensorsSchema(member: 'inputs' | 'outputs', manifest: ModelManifest): JsonObject {
  const items = manifest[member].map((spec) =>
    strictObject({
      name: { const: spec.name },
      datatype: { const: spec.datatype },
      shape: {
        type: 'array',
        description: `Fits [${spec.shape.join(',')}], where -1 varies.`,
        items: { type: 'integer', minimum: 0 },
      },
      data: { type: 'array' },
    }),
  );
  return {
    type: 'object',
    properties: { [member]: { type: 'array', items: { anyOf: items } } },
    required: [member],
  };
}
