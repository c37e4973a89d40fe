/**
 * The parts of `@huggingface/tokenizers` that are used, with their types: the package's own declarations name
 * files without extensions, which module resolution of Node does not find.
 */
import * as tokenizers from '@huggingface/tokenizers';
import type { TokenizerModelJson } from '@inferry/contracts';

/** Called with the pieces of a text it gives their tokens. */
interface TokenModel {
  (pieces: readonly string[]): readonly string[];
  readonly tokens_to_ids: ReadonlyMap<string, number>;
}

type JsonOf<Type> = Extract<TokenizerModelJson, { type: Type }>;

interface Library {
  readonly BPE: new (json: JsonOf<'BPE'>) => TokenModel;
  readonly WordPiece: new (json: JsonOf<'WordPiece'>) => TokenModel;
  /** Translates a regular expression from the syntax of Oniguruma. */
  readonly ReplaceNormalizer: new (json: {
    readonly type: 'Replace';
    readonly pattern: { readonly Regex: string };
    readonly content: string;
  }) => { readonly pattern: RegExp | null };
}

const library = tokenizers as unknown as Library;

export const { BPE, WordPiece } = library;

/** The expression, with the flags `g` and `u`. Throws where it cannot be translated. */
export function translatedPattern(expression: string): RegExp {
  const { pattern } = new library.ReplaceNormalizer({
    type: 'Replace',
    pattern: { Regex: expression },
    content: '',
  });
  if (pattern === null) throw new Error(`the pattern ${expression} cannot be used`);
  return pattern;
}

/** For a regular expression with the flag `u` that finds this text. */
export function escaped(text: string): string {
  return text.replaceAll(/[\\^$.*+?()[\]{}|/]/gu, String.raw`\$&`);
}
