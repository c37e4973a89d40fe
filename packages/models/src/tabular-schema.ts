/** The section `preprocess.tabular` of `model.yaml`: every key, its limits and its default. */
import { z } from 'zod';

const columnName = z.string().min(1).max(256);
const finite = z.number();
const value = z.union([z.string().min(1).max(1024), finite], { error: 'must be text or a number' });

const column = z.strictObject({
  name: columnName,
  type: z
    .enum(['number', 'boolean'])
    .optional()
    .describe(
      'Default: number; a column with values is a category. boolean: 1 for true, 0 for false.',
    ),
  min: finite.optional(),
  max: finite.optional(),
  mean: finite.optional().describe('entry = (value - mean) / std; default 0.'),
  std: finite.optional().describe('Not 0; default 1.'),
  values: z
    .array(value)
    .min(1)
    .max(10_000)
    .optional()
    .describe('What a category may be, in the order of the codes.'),
  encoding: z
    .enum(['ordinal', 'one_hot'])
    .optional()
    .describe(
      'Of a category. ordinal (default): its place from 0; one_hot: an entry for each value.',
    ),
  default: z
    .union([z.string(), finite, z.boolean()], { error: 'must be a number, text, true or false' })
    .optional()
    .describe('In place of a value that is absent or null. A number column may have nan.'),
});

export const tabular = z.strictObject({
  columns: z
    .array(z.union([columnName, column]))
    .min(1)
    .max(10_000)
    .describe('Names in the order of the row; min and max are inclusive.'),
});
