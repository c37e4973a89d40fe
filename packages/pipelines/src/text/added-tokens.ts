/** Tokens that stand for themselves wherever they are written (`[MASK]`, `</s>`): cut out of a text before all else. */
import type { AddedTokenJson } from '@inferry/contracts';
import { endWithoutSpace } from './normalize.ts';
import { escaped } from './tokenizers-library.ts';

/** A part of a text in order: still text, or an added token. */
export type Part = { readonly text: string; readonly isFirst: boolean } | { readonly id: number };

export interface AddedToken {
  /** As it stands in the text it is looked for in. */
  readonly content: string;
  readonly json: AddedTokenJson;
}

const wordEnd = /[\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\p{Join_Control}]$/u;
const wordStart = /^[\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\p{Join_Control}]/u;
const spaceStart = /^\p{White_Space}*/u;

/** Cuts a text; of tokens that begin at the same place the longest counts. */
export function addedTokenCutter(
  tokens: readonly AddedToken[],
): (text: string, isFirst: boolean) => readonly Part[] {
  const found = new Map(tokens.map(({ content, json }) => [content, json]));
  found.delete('');
  if (found.size === 0) return (text, isFirst) => (text === '' ? [] : [{ text, isFirst }]);
  const longestFirst = [...found.keys()].toSorted((a, b) => b.length - a.length);
  const pattern = new RegExp(longestFirst.map(escaped).join('|'), 'gu');
  return (text, isFirst) => {
    const parts: Part[] = [];
    let done = 0;
    const push = (end: number): void => {
      if (end > done) parts.push({ text: text.slice(done, end), isFirst: isFirst && done === 0 });
    };
    for (const match of text.matchAll(pattern)) {
      const json = found.get(match[0]);
      let start = match.index;
      let end = start + match[0].length;
      if (json === undefined || start < done) continue;
      if (json.single_word === true && touchesWord(text, start, end)) continue;
      if (json.lstrip === true) start = Math.max(done, endWithoutSpace(text.slice(0, start)));
      if (json.rstrip === true) end += spaceStart.exec(text.slice(end))?.[0].length ?? 0;
      push(start);
      parts.push({ id: json.id });
      done = end;
    }
    push(text.length);
    return parts;
  };
}

function touchesWord(text: string, start: number, end: number): boolean {
  // Two code units hold the character before, whichever plane it is in.
  return (
    wordEnd.test(text.slice(Math.max(0, start - 2), start)) ||
    wordStart.test(text.slice(end, end + 2))
  );
}
