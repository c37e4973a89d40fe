/** Statistics of models (Triton's `extension_statistics.md`): counts and sums since a model version exists. */
import { z } from 'zod';

const count = z.int().min(0);
/** How often, and how long in all, ns. */
const durationSchema = z.strictObject({ count, ns: count });
export type StatisticDuration = z.infer<typeof durationSchema>;

const modelStatisticsSchema = z.strictObject({
  name: z.string(),
  version: z.string(),
  last_inference: count.describe('When the last request succeeded, ms since 1970; 0 before.'),
  inference_count: count.describe('Rows of the requests that succeeded.'),
  execution_count: count.describe('Runs of the model that returned.'),
  inference_stats: z
    .strictObject({
      success: durationSchema.describe('From the headers of a request to its stored result.'),
      fail: durationSchema.describe('Requests that were accepted and did not succeed.'),
      queue: durationSchema.describe('In the queue, and prepared until the run began.'),
      compute_input: durationSchema.describe('Payloads fetched and preprocessed.'),
      compute_infer: durationSchema,
      compute_output: durationSchema.describe('Postprocessed, and the result stored.'),
      cache_hit: durationSchema,
      cache_miss: durationSchema,
    })
    .describe('Each request counts with the whole time of its batch.'),
  response_stats: z.strictObject({}),
  batch_stats: z
    .array(
      z.strictObject({
        batch_size: count,
        compute_input: durationSchema,
        compute_infer: durationSchema,
        compute_output: durationSchema,
      }),
    )
    .describe('Runs by their rows, each run once.'),
  memory_usage: z.array(z.strictObject({})),
});
export type ModelStatistics = z.infer<typeof modelStatisticsSchema>;

export const statisticsSchema = z.strictObject({ model_stats: z.array(modelStatisticsSchema) });
