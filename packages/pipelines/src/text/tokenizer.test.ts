/** Ids are those of Hugging Face's `tokenizers`, for tokenizers of every kind (golden/text.py writes them). */
import { readFileSync } from 'node:fs';
import type { TokenizerJson } from '@inferry/contracts';
import { describe, expect, test } from 'vitest';
import { type Tokenizer, tokenizerOf } from './tokenizer.ts';

interface Golden {
  readonly texts: readonly string[];
  readonly cases: readonly {
    readonly name: string;
    readonly tokenizer: TokenizerJson;
    /** Segments of the first text. */
    readonly types: readonly number[];
    readonly ids: readonly (readonly number[])[];
  }[];
}

const file = new URL('../../golden/text.json', import.meta.url);
const golden = JSON.parse(readFileSync(file, 'utf8')) as Golden;

/** As long as a text may be by default. With time that grows with the square one of these takes minutes. */
const longText = 64 * 1024;
const pieces = [
  'a',
  ' ',
  ' x',
  '\n',
  "'",
  '1',
  '_',
  '\u0301',
  '東',
  '👩\u200d',
  '▁',
  '[MASK]',
  '[MASK',
  ' [MASK] ',
];

function idsOf(tokenizer: Tokenizer, text: string): readonly number[] {
  const ids = tokenizer.encode(text);
  if (!ids.ok) throw new Error(ids.error);
  return ids.value;
}

function marked(tokenizer: Tokenizer, text: string): readonly number[] {
  const { before, after } = tokenizer.specialTokens;
  return [...before.map(({ id }) => id), ...idsOf(tokenizer, text), ...after.map(({ id }) => id)];
}

describe.each(golden.cases)('$name', ({ tokenizer: json, ids, types }) => {
  const tokenizer = tokenizerOf(json);

  test('gives every text the ids that the library in Rust gives it', () => {
    const wrong = golden.texts.flatMap((text, i) => {
      const found = marked(tokenizer, text);
      return JSON.stringify(found) === JSON.stringify(ids[i]) ? [] : [{ text, found, ids: ids[i] }];
    });
    expect(golden.texts.length).toBeGreaterThan(150);
    expect(wrong).toEqual([]);
  });

  test('gives the segments that the library gives', () => {
    const { before, after, type } = tokenizer.specialTokens;
    const [text = ''] = golden.texts;
    const found = [...before.map((mark) => mark.type), ...idsOf(tokenizer, text).map(() => type)];
    expect([...found, ...after.map((mark) => mark.type)]).toEqual(types);
  });

  test('does not choke on the longest texts, whatever they are made of', () => {
    for (const piece of pieces) {
      const text = piece.repeat(longText / piece.length);
      expect(idsOf(tokenizer, `${text}a`).length, JSON.stringify(piece)).toBeGreaterThan(0);
    }
  });
});

const bpe: TokenizerJson = {
  model: { type: 'BPE', vocab: { a: 0, b: 1, ab: 2 }, merges: ['a b'] },
};

test('tokens are found as they are written, whatever characters they are made of', () => {
  const content = '!"#$%&\'()*+,-./:;<=>?@[\\]^_`{|}~';
  const tokenizer = tokenizerOf({ ...bpe, added_tokens: [{ id: 7, content }] });
  expect(idsOf(tokenizer, `ab${content}a`)).toEqual([2, 7, 0]);
});

test('a text is cut where a pre-tokenizer says, whatever characters that is', () => {
  const split = { type: 'Split', pattern: { String: '-' }, behavior: 'Removed' } as const;
  expect(idsOf(tokenizerOf({ ...bpe, pre_tokenizer: split }), 'ab-a-b')).toEqual([2, 0, 1]);
});

describe('a file that contradicts itself', () => {
  test('is not opened: a template without a place for the text', () => {
    const template = { type: 'TemplateProcessing', single: [], special_tokens: {} } as const;
    expect(() => tokenizerOf({ ...bpe, post_processor: template })).toThrow(
      /no place for the text/u,
    );
  });

  test('is not opened: a character map that is none', () => {
    const normalizer = { type: 'Precompiled', precompiled_charsmap: 'AAAA' } as const;
    expect(() => tokenizerOf({ ...bpe, normalizer })).toThrow(/no character map/u);
  });

  test('is not opened: an expression that cannot be translated', () => {
    const pattern = { Regex: '(?<unclosed' };
    expect(() =>
      tokenizerOf({ ...bpe, pre_tokenizer: { type: 'Split', pattern, behavior: 'Isolated' } }),
    ).toThrow();
  });
});
