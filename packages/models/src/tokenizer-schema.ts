/**
 * What a `tokenizer.json` of Hugging Face's `tokenizers` must be to give the same ids here as there: components
 * whose ids could differ are refused by name. Only looks: it is read where texts are prepared.
 */
import { z } from 'zod';

/** A tagged union that names what it knows when the tag is another. */
function oneOf<Options extends readonly [z.ZodObject, ...z.ZodObject[]]>(options: Options) {
  const known = options.flatMap((option) => tagsOf(option));
  return z.discriminatedUnion('type', options, {
    error: (issue) =>
      issue.code === 'invalid_union'
        ? `${JSON.stringify(typeOf(issue.input))} is not supported; supported are ${known.join(', ')}`
        : undefined,
  });
}

function tagsOf(option: z.ZodObject): readonly unknown[] {
  const tag = option.shape['type'];
  return tag instanceof z.ZodEnum
    ? tag.options
    : tag instanceof z.ZodLiteral
      ? [...tag.values]
      : [];
}

function typeOf(input: unknown): unknown {
  return typeof input === 'object' && input !== null && 'type' in input ? input.type : input;
}

const pattern = z.union([z.object({ String: z.string() }), z.object({ Regex: z.string() })]);

const normalizer: z.ZodType = z.lazy(() =>
  oneOf([
    z.object({
      type: z.literal('BertNormalizer'),
      clean_text: z.boolean().optional(),
      handle_chinese_chars: z.boolean().optional(),
      strip_accents: z.boolean().nullish(),
      lowercase: z.boolean().optional(),
    }),
    z.object({ type: z.enum(['NFC', 'NFD', 'NFKC', 'NFKD', 'Lowercase', 'StripAccents']) }),
    z.object({
      type: z.literal('Strip'),
      strip_left: z.boolean().optional(),
      strip_right: z.boolean().optional(),
    }),
    z.object({ type: z.literal('Replace'), pattern, content: z.string() }),
    z.object({ type: z.literal('Prepend'), prepend: z.string() }),
    z.object({ type: z.literal('Precompiled'), precompiled_charsmap: z.base64() }),
    z.object({ type: z.literal('Sequence'), normalizers: z.array(normalizer) }),
  ]),
);

const preTokenizer: z.ZodType = z.lazy(() =>
  oneOf([
    z.object({ type: z.enum(['BertPreTokenizer', 'Whitespace', 'WhitespaceSplit']) }),
    z.object({
      type: z.literal('ByteLevel'),
      add_prefix_space: z.boolean().optional(),
      use_regex: z.boolean().optional(),
    }),
    z.object({
      type: z.literal('Metaspace'),
      replacement: z.string().length(1).optional(),
      prepend_scheme: z.enum(['always', 'first', 'never']).optional(),
      add_prefix_space: z.boolean().optional(),
      split: z.boolean().optional(),
    }),
    z.object({ type: z.literal('Digits'), individual_digits: z.boolean().optional() }),
    z.object({ type: z.literal('Punctuation'), behavior: z.literal('Isolated').optional() }),
    z.object({
      type: z.literal('Split'),
      pattern,
      behavior: z.enum(['Isolated', 'Removed']),
      invert: z.boolean().optional(),
    }),
    z.object({ type: z.literal('Sequence'), pretokenizers: z.array(preTokenizer) }),
  ]),
);

const id = z.int().min(0);
const vocabulary = z.record(z.string(), id);

/** Options that make ids random, or that other code than ours would have to know. */
const none = z.union([z.null(), z.literal(''), z.literal(0)]).optional();

const model = oneOf([
  z.object({
    type: z.literal('WordPiece'),
    vocab: vocabulary,
    unk_token: z.string().optional(),
    continuing_subword_prefix: z.string().optional(),
    max_input_chars_per_word: z.int().min(1).optional(),
  }),
  z.object({
    type: z.literal('BPE'),
    vocab: vocabulary,
    merges: z.array(z.union([z.string(), z.tuple([z.string(), z.string()])])),
    unk_token: z.string().nullish(),
    end_of_word_suffix: z.string().nullish(),
    fuse_unk: z.boolean().optional(),
    byte_fallback: z.boolean().optional(),
    ignore_merges: z.boolean().optional(),
    dropout: none,
    continuing_subword_prefix: none,
  }),
  z.object({
    type: z.literal('Unigram'),
    vocab: z.array(z.tuple([z.string(), z.number()])).min(1),
    unk_id: id.nullish(),
    byte_fallback: z.boolean().optional(),
  }),
]);

const special = z.tuple([z.string(), id]);

const postProcessor: z.ZodType = z.lazy(() =>
  oneOf([
    z.object({ type: z.literal('ByteLevel') }),
    z.object({
      type: z.enum(['BertProcessing', 'RobertaProcessing']),
      cls: special,
      sep: special,
    }),
    z.object({
      type: z.literal('TemplateProcessing'),
      single: z.array(
        z.union([
          z.object({ SpecialToken: z.object({ id: z.string(), type_id: id }) }),
          z.object({ Sequence: z.object({ id: z.enum(['A', 'B']), type_id: id }) }),
        ]),
      ),
      special_tokens: z.record(z.string(), z.object({ ids: z.array(id) })),
    }),
    z.object({ type: z.literal('Sequence'), processors: z.array(postProcessor) }),
  ]),
);

const side = z.enum(['Left', 'Right']).optional();

export const tokenizerSchema: z.ZodType = z.object({
  added_tokens: z
    .array(
      z.object({
        id,
        content: z.string().min(1),
        single_word: z.boolean().optional(),
        lstrip: z.boolean().optional(),
        rstrip: z.boolean().optional(),
        normalized: z.boolean().optional(),
      }),
    )
    .optional(),
  normalizer: normalizer.nullish(),
  pre_tokenizer: preTokenizer.nullish(),
  model,
  post_processor: postProcessor.nullish(),
  truncation: z.object({ max_length: z.int().min(1), direction: side }).nullish(),
  padding: z.object({ direction: side, pad_id: id, pad_type_id: id.optional() }).nullish(),
});
