/** The sections `preprocess.tensor` and `postprocess.tensor` of `model.yaml`: every key, its limits and its default. */
import { z } from 'zod';

const name = z.string().min(1).max(1024);
const perEntry = z.union([z.number(), z.array(z.number()).min(1).max(65_536)], {
  error: 'must be a number or a list of numbers',
});

export const tensorFields = z.strictObject({
  normalize: z
    .record(
      name,
      z.strictObject({
        scale: z.number().default(1),
        mean: perEntry
          .default(0)
          .describe('A list has one for each place along the last dimension.'),
        std: perEntry.default(1).describe('Likewise; none may be 0.'),
      }),
    )
    .default({})
    .describe('By input, floats only: entry = (value * scale - mean) / std.'),
});

export const tensorAnswer = z.strictObject({
  outputs: z
    .array(name)
    .min(1)
    .max(4_096)
    .optional()
    .describe('Default: all outputs of the model.'),
});
