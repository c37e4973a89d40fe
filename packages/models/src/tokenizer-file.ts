/** The tokenizer beside a `model.yaml`: whether its ids can be had here, and what it says of padding and length. */
import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { TokenizerJson } from '@inferry/contracts';
import { err, ok, type Result } from '@inferry/runtime';
import { fileErrorText } from './file-problem.ts';
import { tokenizerSchema } from './tokenizer-schema.ts';

/** The largest vocabularies, of 256,000 tokens, have files of half this size. */
const tokenizerBytesMax = 64 * 1024 * 1024;

/** Names that padding goes by; for files that do not say how to pad. */
const paddingTokens: readonly string[] = ['[PAD]', '<pad>', '<|pad|>', '<PAD>', '[pad]'];

export interface TokenizerFile {
  readonly file: string;
  /** Null where the file does not say, nor has a token of one of the usual names. */
  readonly padId: number | null;
  readonly padTypeId: number;
  readonly padSide: 'left' | 'right' | null;
  readonly lengthMax: number | null;
  readonly truncationSide: 'left' | 'right' | null;
  /** Tokens added to every text. */
  readonly specialTokens: number;
}

/** The error follows the key: what is wrong with the file. */
export async function readTokenizerFile(
  folder: string,
  name: string,
): Promise<Result<TokenizerFile, string>> {
  if (/[/\\]/u.test(name) || name === '..') {
    return err(`"${name}" must be the name of a file beside model.yaml`);
  }
  const file = join(folder, name);
  const json = await readJson(file);
  if (!json.ok) return err(`${file} ${json.error}`);
  const parsed = tokenizerSchema.safeParse(json.value);
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    return err(`${file} ${issue?.path.map(String).join('.') ?? ''}: ${issue?.message ?? ''}`);
  }
  // What was just parsed has this shape; defaults are filled in where it is read.
  const tokenizer = json.value as TokenizerJson;
  const { padding, truncation } = tokenizer;
  return ok({
    file,
    padId: padding?.pad_id ?? paddingId(tokenizer),
    padTypeId: padding?.pad_type_id ?? 0,
    padSide: sideOf(padding?.direction),
    lengthMax: truncation?.max_length ?? null,
    truncationSide: sideOf(truncation?.direction),
    specialTokens: specialTokens(tokenizer.post_processor ?? null),
  });
}

async function readJson(file: string): Promise<Result<unknown, string>> {
  try {
    const { size } = await stat(file);
    if (size > tokenizerBytesMax) {
      return err(`has ${size} bytes; at most ${tokenizerBytesMax} are allowed`);
    }
    return ok(JSON.parse(await readFile(file, 'utf8')));
  } catch (cause) {
    if (cause instanceof SyntaxError) return err(`is not JSON: ${cause.message}`);
    const reason = fileErrorText(cause);
    if (reason === undefined) throw cause;
    return err(reason);
  }
}

function sideOf(direction: 'Left' | 'Right' | undefined): 'left' | 'right' | null {
  if (direction === undefined) return null;
  return direction === 'Left' ? 'left' : 'right';
}

function paddingId({ added_tokens: added = [], model }: TokenizerJson): number | null {
  for (const name of paddingTokens) {
    const token = added.find(({ content }) => content === name);
    const id = token?.id ?? vocabularyId(model.vocab, name);
    if (id !== undefined) return id;
  }
  return null;
}

function vocabularyId(vocab: TokenizerJson['model']['vocab'], name: string): number | undefined {
  if (!isList(vocab)) return Object.hasOwn(vocab, name) ? vocab[name] : undefined;
  const place = vocab.findIndex(([token]) => token === name);
  return place === -1 ? undefined : place;
}

function isList<Item>(value: readonly Item[] | object): value is readonly Item[] {
  return Array.isArray(value);
}

type PostProcessor = NonNullable<TokenizerJson['post_processor']>;

function specialTokens(json: PostProcessor | null): number {
  switch (json?.type) {
    case undefined:
    case 'ByteLevel':
      return 0;
    case 'BertProcessing':
    case 'RobertaProcessing':
      return 2;
    case 'TemplateProcessing':
      return json.single.reduce((sum, piece) => {
        if ('Sequence' in piece) return sum;
        return sum + (json.special_tokens[piece.SpecialToken.id]?.ids.length ?? 0);
      }, 0);
    case 'Sequence':
      return json.processors.reduce((sum, processor) => sum + specialTokens(processor), 0);
  }
}
