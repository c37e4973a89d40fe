/** The section `preprocess.text` of `model.yaml`: every key, its limits and its default. */
import { z } from 'zod';

const tokensMax = 32_768;
const textBytesMax = 1024 * 1024;

const side = z.enum(['left', 'right']);
const tensorName = z.string().min(1).max(1024).optional();

export const text = z.strictObject({
  input: z.string().min(1).max(128).default('text').describe("The pipeline's input field."),
  tokenizer: z
    .string()
    .min(1)
    .default('tokenizer.json')
    .describe("A file of Hugging Face's tokenizers beside model.yaml."),
  max_length: z
    .int()
    .min(1)
    .max(tokensMax)
    .optional()
    .describe(
      "Tokens of one text, those that mark its ends included. Default: the model's fixed length, else the tokenizer's.",
    ),
  truncation: z
    .boolean()
    .default(true)
    .describe('Cut a text with more tokens off; false refuses it.'),
  truncation_side: side.optional().describe("Default: the tokenizer's, else right."),
  special_tokens: z
    .boolean()
    .default(true)
    .describe('Add the tokens that mark the ends of a text, as the tokenizer says.'),
  buckets: z
    .array(z.int().min(1).max(tokensMax))
    .min(1)
    .max(64)
    .optional()
    .describe(
      'Lengths that texts are padded to, below max_length, which is always one. Default: 16, 32, 64...',
    ),
  pad_id: z.int().min(0).optional().describe("Default: the tokenizer's."),
  pad_side: side.optional().describe("Default: the tokenizer's, else right."),
  max_bytes: z
    .int()
    .min(1)
    .max(textBytesMax)
    .default(64 * 1024)
    .describe('Of one text in UTF-8; a longer one is refused.'),
  inputs: z
    .strictObject({
      input_ids: tensorName,
      attention_mask: tensorName,
      token_type_ids: tensorName,
    })
    .prefault({})
    .describe("The model's inputs, where they are called otherwise."),
});
