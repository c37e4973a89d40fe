/** The key `labels` of a postprocessor: names of classes, in the order of the model's. */
import { z } from 'zod';

const label = z.string({ error: 'must be text (put it in quotes)' }).min(1).max(1024);

export const labels = z
  .union([z.string().min(1), z.array(label).min(1).max(100_000)])
  .describe('A file beside model.yaml with one label a line, or the labels.');
