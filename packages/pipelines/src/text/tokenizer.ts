/**
 * A `tokenizer.json` at work: text becomes ids, the same as those of Hugging Face's `tokenizers` (held to them by
 * golden results). Merging byte pairs, word pieces and the syntax of regular expressions are those of its
 * JavaScript edition; the steps in which that one gives other ids are done here.
 */
import type { AddedTokenJson, TokenizerJson, TokenizerModelJson } from '@inferry/contracts';
import { err, ok, type Result } from '@inferry/runtime';
import { addedTokenCutter } from './added-tokens.ts';
import { normalizerOf } from './normalize.ts';
import { preTokenizerOf } from './pre-tokenize.ts';
import { type SpecialTokens, specialTokensOf } from './special-tokens.ts';
import { BPE, WordPiece } from './tokenizers-library.ts';
import { unigramModel } from './unigram.ts';

export interface Tokenizer {
  /** Ids of a text, without the tokens that mark its ends. The error follows the name of the text. */
  encode(text: string): Result<readonly number[], string>;
  readonly specialTokens: SpecialTokens;
}

/** Throws where the parts of the file contradict each other. */
export function tokenizerOf(json: TokenizerJson): Tokenizer {
  const normalize = json.normalizer ? normalizerOf(json.normalizer) : (text: string) => text;
  const preTokenize = json.pre_tokenizer
    ? preTokenizerOf(json.pre_tokenizer)
    : (text: string) => [text];
  const model = modelOf(json.model);
  const added = json.added_tokens ?? [];
  const asWritten = added.filter((token) => !isNormalized(token));
  const cutWritten = addedTokenCutter(
    asWritten.map((token) => ({ content: token.content, json: token })),
  );
  const cutNormalized = addedTokenCutter(
    added.filter(isNormalized).map((token) => ({ content: normalize(token.content), json: token })),
  );

  function encode(text: string): Result<readonly number[], string> {
    const ids: number[] = [];
    for (const part of cutWritten(text, true)) {
      if ('id' in part) {
        ids.push(part.id);
        continue;
      }
      for (const inner of cutNormalized(normalize(part.text), part.isFirst)) {
        if ('id' in inner) {
          ids.push(inner.id);
          continue;
        }
        for (const piece of preTokenize(inner.text, inner.isFirst)) {
          const own = model(piece);
          if (own === undefined) return err('has a character that the tokenizer has no token for');
          for (const id of own) ids.push(id);
        }
      }
    }
    return ok(ids);
  }

  return { encode, specialTokens: specialTokensOf(json.post_processor ?? null) };
}

function isNormalized(token: AddedTokenJson): boolean {
  return token.normalized ?? false;
}

/**
 * Ids of the tokens of one piece: neighbours that are unknown become one within it, not beyond. Undefined where
 * something is unknown, and the file has no token for that.
 */
type Model = (piece: string) => readonly number[] | undefined;

function modelOf(json: TokenizerModelJson): Model {
  switch (json.type) {
    case 'Unigram':
      return unigramModel(json);
    case 'WordPiece': {
      const unknown = json.unk_token ?? '[UNK]';
      const model = new WordPiece({
        ...json,
        unk_token: unknown,
        continuing_subword_prefix: json.continuing_subword_prefix ?? '##',
        max_input_chars_per_word: json.max_input_chars_per_word ?? 100,
      });
      return (piece) => idsIn(model.tokens_to_ids, model([piece]));
    }
    case 'BPE': {
      const model = new BPE(json);
      return (piece) => idsIn(model.tokens_to_ids, model([piece]));
    }
  }
}

function idsIn(
  ids: ReadonlyMap<string, number>,
  tokens: readonly string[],
): readonly number[] | undefined {
  const found = tokens.map((token) => ids.get(token)).filter((id) => id !== undefined);
  return found.length === tokens.length ? found : undefined;
}
