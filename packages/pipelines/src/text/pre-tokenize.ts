/**
 * Pre-tokenizers of a `tokenizer.json`: where a text is cut before its pieces become tokens, as Hugging Face's
 * `tokenizers` cuts it. White space and word characters are those of Unicode, not of JavaScript's `\s` and `\w`.
 */
import type { PreTokenizerJson } from '@inferry/contracts';
import { escaped, translatedPattern } from './tokenizers-library.ts';

/**
 * `isFirst` where nothing of the text lies before, not even a blank. (The library also counts a blank that NFKC
 * makes of a text's first character, as of U+1FCF, as nothing.)
 */
export type PreTokenize = (text: string, isFirst: boolean) => readonly string[];

const punctuation = String.raw`\p{P}!-\/:-@\[-\x60\{-~`;
const word = String.raw`\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\p{Join_Control}`;
const space = String.raw`\p{White_Space}`;

const patterns = {
  bert: new RegExp(String.raw`[${punctuation}]|[^${space}${punctuation}]+`, 'gu'),
  words: new RegExp(`[${word}]+|[^${word}${space}]+`, 'gu'),
  runs: new RegExp(`[^${space}]+`, 'gu'),
  /** GPT-2's. */
  bytes: new RegExp(
    String.raw`'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^${space}\p{L}\p{N}]+|[${space}]+(?![^${space}])|[${space}]+`,
    'gu',
  ),
  digits: /\p{N}+|\P{N}+/gu,
  eachDigit: /\p{N}|\P{N}+/gu,
  punctuation: new RegExp(`[${punctuation}]|[^${punctuation}]+`, 'gu'),
};

/** Throws where a regular expression is broken. */
export function preTokenizerOf(json: PreTokenizerJson): PreTokenize {
  switch (json.type) {
    case 'BertPreTokenizer':
      return (text) => text.match(patterns.bert) ?? [];
    case 'Whitespace':
      return (text) => text.match(patterns.words) ?? [];
    case 'WhitespaceSplit':
      return (text) => text.match(patterns.runs) ?? [];
    case 'Digits': {
      const pattern = (json.individual_digits ?? false) ? patterns.eachDigit : patterns.digits;
      return (text) => text.match(pattern) ?? [];
    }
    case 'Punctuation':
      return (text) => text.match(patterns.punctuation) ?? [];
    case 'ByteLevel':
      return byteLevel(json.add_prefix_space ?? true, json.use_regex ?? true);
    case 'Metaspace':
      return metaspace(json);
    case 'Split':
      return split(json);
    case 'Sequence': {
      const steps = json.pretokenizers.map(preTokenizerOf);
      return (text, isFirst) =>
        steps.reduce<readonly string[]>(
          (pieces, step) =>
            pieces.flatMap((piece, i) => step(piece, isFirst && i === 0 && text.startsWith(piece))),
          [text],
        );
    }
  }
}

/** GPT-2 writes every byte as a printable character: most as themselves, the others from U+0100 on. */
const byteCharacters: readonly string[] = (() => {
  let next = 0x100;
  return Array.from({ length: 256 }, (_, byte) => {
    const isItself =
      (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || byte >= 0xae;
    return String.fromCharCode(isItself ? byte : next++);
  });
})();

const encoder = new TextEncoder();

function byteLevel(hasPrefix: boolean, hasPattern: boolean): PreTokenize {
  return (text) => {
    const prefixed = hasPrefix && !text.startsWith(' ') ? ` ${text}` : text;
    const pieces = hasPattern ? (prefixed.match(patterns.bytes) ?? []) : [prefixed];
    return pieces.map((piece) => {
      let characters = '';
      for (const byte of encoder.encode(piece)) characters += byteCharacters[byte] ?? '';
      return characters;
    });
  };
}

function metaspace(json: Extract<PreTokenizerJson, { type: 'Metaspace' }>): PreTokenize {
  const mark = json.replacement ?? '▁';
  const scheme = json.prepend_scheme ?? ((json.add_prefix_space ?? true) ? 'always' : 'never');
  return (text, isFirst) => {
    const marked = text.replaceAll(' ', mark);
    const isPrepended = scheme === 'always' || (scheme === 'first' && isFirst);
    const whole = isPrepended && !marked.startsWith(mark) ? mark + marked : marked;
    return (json.split ?? true) ? piecesFrom(whole, mark) : [whole];
  };
}

/** Each piece begins with the mark, except perhaps the first. */
function piecesFrom(text: string, mark: string): readonly string[] {
  const pieces: string[] = [];
  for (let start = 0; start < text.length;) {
    const next = text.indexOf(mark, start + 1);
    const end = next === -1 ? text.length : next;
    pieces.push(text.slice(start, end));
    start = end;
  }
  return pieces;
}

function split(json: Extract<PreTokenizerJson, { type: 'Split' }>): PreTokenize {
  const pattern =
    'Regex' in json.pattern
      ? translatedPattern(json.pattern.Regex)
      : new RegExp(escaped(json.pattern.String), 'gu');
  const isRemoved = json.behavior === 'Removed';
  const isInverted = json.invert ?? false;
  return (text) => {
    const pieces: string[] = [];
    let end = 0;
    const keep = (piece: string, isMatch: boolean): void => {
      if (piece !== '' && !(isRemoved && isMatch !== isInverted)) pieces.push(piece);
    };
    for (const match of text.matchAll(pattern)) {
      keep(text.slice(end, match.index), false);
      keep(match[0], true);
      end = match.index + match[0].length;
    }
    keep(text.slice(end), false);
    return pieces;
  };
}
