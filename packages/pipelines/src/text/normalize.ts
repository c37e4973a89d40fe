/**
 * Normalizers of a `tokenizer.json`, character for character as Hugging Face's `tokenizers` has them: lower case
 * knows no context there (a final sigma is an ordinary one), and white space is what Unicode calls White_Space.
 */
import type { NormalizerJson } from '@inferry/contracts';
import { characterMap } from './character-map.ts';
import { translatedPattern } from './tokenizers-library.ts';

export type Normalize = (text: string) => string;

/** Throws where a regular expression or a character map is broken. */
export function normalizerOf(json: NormalizerJson): Normalize {
  switch (json.type) {
    case 'BertNormalizer':
      return bert(json);
    case 'NFC':
    case 'NFD':
    case 'NFKC':
    case 'NFKD': {
      const form = json.type;
      return (text) => text.normalize(form);
    }
    case 'Lowercase':
      return lowerCase;
    case 'StripAccents':
      return (text) => text.replaceAll(/\p{M}/gu, '');
    case 'Strip':
      return strip(json.strip_left ?? true, json.strip_right ?? true);
    case 'Replace':
      return replace(json);
    case 'Prepend':
      return (text) => (text === '' ? '' : json.prepend + text);
    case 'Precompiled':
      return characterMap(Buffer.from(json.precompiled_charsmap, 'base64'));
    case 'Sequence': {
      const steps = json.normalizers.map(normalizerOf);
      return (text) => steps.reduce((changed, step) => step(changed), text);
    }
  }
}

type BertJson = Extract<NormalizerJson, { type: 'BertNormalizer' }>;

function bert(json: BertJson): Normalize {
  const isLower = json.lowercase ?? true;
  const isStripped = json.strip_accents ?? isLower;
  return (given) => {
    let text = given;
    if (json.clean_text ?? true) text = clean(text);
    if (json.handle_chinese_chars ?? true) text = text.replaceAll(chinese, ' $& ');
    if (isStripped) text = text.normalize('NFD').replaceAll(/\p{Mn}/gu, '');
    return isLower ? lowerCase(text) : text;
  };
}

/** The blocks that BERT's own code lists, gaps included. */
const chinese =
  /[\u{4E00}-\u{9FFF}\u{3400}-\u{4DBF}\u{20000}-\u{2A6DF}\u{2A700}-\u{2B73F}\u{2B740}-\u{2B81F}\u{2B920}-\u{2CEAF}\u{F900}-\u{FAFF}\u{2F800}-\u{2FA1F}]/gu;

/** Control characters go, white space becomes blanks. */
function clean(text: string): string {
  return text
    .replaceAll(/[^\P{C}\t\n\r\p{Cn}]|\u{FFFD}/gu, '')
    .replaceAll(/\p{White_Space}/gu, ' ');
}

/** Only the final sigma has a lower case that depends on its neighbours. */
function lowerCase(text: string): string {
  if (!text.includes('Σ')) return text.toLowerCase();
  return Array.from(text, (character) => character.toLowerCase()).join('');
}

function strip(isLeft: boolean, isRight: boolean): Normalize {
  return (text) => {
    const left = isLeft ? text.replace(/^\p{White_Space}+/u, '') : text;
    return isRight ? left.slice(0, endWithoutSpace(left)) : left;
  };
}

/** Where the white space at the end begins; a regular expression would look at every run of it. */
export function endWithoutSpace(text: string): number {
  let end = text.length;
  while (end > 0 && /\p{White_Space}/u.test(text.charAt(end - 1))) end -= 1;
  return end;
}

function replace(json: Extract<NormalizerJson, { type: 'Replace' }>): Normalize {
  const { content } = json;
  if ('String' in json.pattern) {
    const { String: found } = json.pattern;
    return (text) => text.replaceAll(found, () => content);
  }
  const pattern = translatedPattern(json.pattern.Regex);
  return (text) => text.replaceAll(pattern, () => content);
}
