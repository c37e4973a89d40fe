/**
 * The schema of `model.yaml`: every key, its limits and its default. Unknown keys are errors. The
 * published JSON Schema is made from it.
 */
import {
  concurrentMaxDefault,
  type Datatype,
  datatypeBytes,
  defaultLimits,
} from '@inferry/contracts';
import { z } from 'zod';
import { postprocess, preprocess } from './pipeline-schemas.ts';

const dimensionMax = 2 ** 31 - 1;
const datatypes = Object.keys(datatypeBytes) as Datatype[];

const tensor = z.strictObject({
  name: z.string().min(1).max(1024),
  dtype: z.enum(datatypes).describe('Datatype, in the names of the Open Inference Protocol.'),
  shape: z
    .array(z.int().min(-1).max(dimensionMax))
    .max(32)
    .describe('-1 varies; includes the batch dimension.'),
});

const instance = z.strictObject({
  kind: z.enum(['cpu', 'cuda', 'tensorrt']),
  count: z.int().min(1).max(64).default(1).describe('Sessions in every worker process.'),
});

const queue = z.strictObject({
  max_depth: z
    .int()
    .min(1)
    .max(defaultLimits.queueDepthTotalMax)
    .default(defaultLimits.queueDepthPerClassMax),
  timeout_ms: z
    .int()
    .min(1)
    .max(defaultLimits.deadlineMsMax)
    .default(defaultLimits.deadlineMsDefault)
    .describe('Default deadline of a job.'),
  linger: z
    .enum(['auto', 'none', 'defer'])
    .default('auto')
    .describe(
      'Whether a free slot waits for a fuller batch. auto: when recent arrivals and the cost of a run say that it pays; none: never; defer: until the batch is full or the time is over.',
    ),
  max_linger_ms: z
    .number()
    .min(0)
    .max(10_000)
    .optional()
    .describe('Longest such wait. Default: a tenth of latency_target_ms, at most 20.'),
  max_age_ms: z
    .int()
    .min(1)
    .max(defaultLimits.deadlineMsMax)
    .default(defaultLimits.agingMs)
    .describe(
      'With several tenants: a job that has waited this long comes before younger ones, in a quarter of each batch.',
    ),
  weight: z
    .int()
    .min(1)
    .max(100)
    .default(1)
    .describe("Share of a worker's run time against the other models with work."),
});

const admission = z.strictObject({
  mode: z
    .enum(['target', 'timeout', 'depth', 'off'])
    .optional()
    .describe(
      'Which held requests are refused. target: those not expected to end within the budget; timeout: within their own time limit; depth: those that find the queue full; off: only what the server itself refuses. Default: target where a latency_target_ms or budget_ms is set, else depth.',
    ),
  budget_ms: z
    .number()
    .min(1)
    .max(defaultLimits.deadlineMsMax)
    .optional()
    .describe('For mode target: from request headers to answer. Default: latency_target_ms.'),
  on_infeasible: z
    .enum(['refuse', 'accept'])
    .default('refuse')
    .describe('accept: a request that would be late becomes a job to come back for.'),
});

const warmup = z.strictObject({
  rows: z
    .array(z.int().min(1).max(65_536))
    .min(1)
    .max(16)
    .optional()
    .describe('Batch sizes that run before the model is ready; default [1, max_batch_size].'),
});

const session = z.strictObject({
  intra_op_threads: z.int().min(0).max(1_024).default(1).describe('0: ONNX Runtime decides.'),
  graph_optimization: z.enum(['disabled', 'basic', 'extended', 'all']).default('all'),
});

const durationMs = z.number().min(0).max(3_600_000).default(0);
const trigger = z.number().optional();

const simulated = z.strictObject({
  run_ms: durationMs.describe('Cost of a run, asleep.'),
  row_ms: durationMs.describe('Cost of each row in it.'),
  fail_on: trigger.describe('A row whose first value equals this makes the run throw.'),
  hang_on: trigger.describe('Likewise, and the run never returns.'),
  crash_on: trigger.describe('Likewise, and the process aborts.'),
});

const processor = z.strictObject({
  runs: z
    .array(z.string().min(1).max(128))
    .min(1)
    .max(64)
    .describe('Models of this repository that it may run; the first where a step names none.'),
  concurrent: z
    .int()
    .min(1)
    .max(10_000)
    .default(64)
    .describe('Jobs under way in one worker; the others wait in the queue.'),
  max_steps: z.int().min(1).max(1_000_000).default(10_000).describe('Steps of one job.'),
});

const tensorName = z.string().min(1).max(1_024);

const step = z.strictObject({
  model: z.string().min(1).max(128).describe('A model of this repository, also an ensemble.'),
  version: z
    .union([z.string().min(1).max(64), z.int().min(1)])
    .optional()
    .describe('A version or a label. Default: what requests without a version get.'),
  inputs: z
    .record(tensorName, tensorName)
    .describe(
      'By input of the model: the tensor it is given, an input of the ensemble or one that a step gives.',
    ),
  outputs: z
    .record(tensorName, tensorName)
    .describe('By output of the model that is used: what the ensemble calls it.'),
});

const ensemble = z.strictObject({
  steps: z
    .array(step)
    .min(1)
    .max(256)
    .describe('In any order: each runs as soon as all its inputs are there.'),
  concurrent: z
    .int()
    .min(1)
    .max(1_024)
    .default(concurrentMaxDefault)
    .describe('Jobs under way in one worker; the others wait in the queue.'),
});

export const modelYamlSchema = z.strictObject({
  backend: z
    .enum(['onnxruntime', 'simulated', 'ensemble', 'processor'])
    .default('onnxruntime')
    .describe(
      'All but onnxruntime need no model.onnx; inputs and outputs must be declared. ensemble runs other models in steps, processor runs processor.ts, .js or .mjs.',
    ),
  max_batch_size: z
    .int()
    .min(0)
    .max(65_536)
    .optional()
    .describe(
      'Rows in one run; 0: no batch dimension. Default: 8 where the model has one, else 0.',
    ),
  latency_target_ms: z.number().min(1).max(defaultLimits.deadlineMsMax).optional(),
  admission: admission.prefault({}),
  instances: z
    .array(instance)
    .min(1)
    .max(16)
    .default([{ kind: 'cpu', count: 1 }]),
  inputs: z.array(tensor).min(1).max(256).optional(),
  outputs: z.array(tensor).min(1).max(256).optional(),
  preprocess: preprocess.optional(),
  postprocess: postprocess.optional(),
  queue: queue.prefault({}),
  execution_timeout_ms: z
    .int()
    .min(1)
    .max(3_600_000)
    .default(defaultLimits.executionTimeoutMsDefault)
    .describe('For one run; of a processor, for what a job does between its steps.'),
  response_cache: z
    .boolean()
    .default(false)
    .describe(
      'Gateways keep answers in memory (INFERRY_RESPONSE_CACHE_BYTES), and give them to held requests with the same input.',
    ),
  warmup: warmup.prefault({}),
  session: session.prefault({}),
  simulated: simulated.optional(),
  ensemble: ensemble.optional(),
  processor: processor.optional(),
});

/** A parsed `model.yaml` with its static defaults filled in. */
export type ModelYaml = z.output<typeof modelYamlSchema>;

/** JSON Schema (draft 2020-12) of `model.yaml`, for editors; committed as `model.schema.json`. */
export function modelYamlJsonSchema(): Record<string, unknown> {
  const { $schema, ...schema } = z.toJSONSchema(modelYamlSchema, { io: 'input' });
  return { $schema, title: 'Inferry model.yaml', ...schema };
}
