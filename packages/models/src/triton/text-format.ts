/**
 * Reads the protobuf text format without a schema: fields in their order, each with the line and column
 * of its name and of its value. Lists become repeated fields. Never throws: an error names the place.
 */
import { err, ok, type Result } from '@inferry/runtime';
import { TextFormatError, type TextPosition, type TextToken, TextTokens } from './text-tokens.ts';

export interface TextField extends TextPosition {
  /** In brackets for an extension, or a type's URL. */
  readonly name: string;
  readonly value: TextValue;
}

export type TextValue = TextPosition &
  (
    | { readonly kind: 'string'; readonly text: string }
    | { readonly kind: 'integer'; readonly value: bigint }
    /** Written as a fraction, or `inf` and `nan` with a sign. */
    | { readonly kind: 'float'; readonly value: number }
    /** An enum's value, `true`, `inf`. */
    | { readonly kind: 'name'; readonly name: string }
    | { readonly kind: 'message'; readonly fields: readonly TextField[] }
  );

export interface TextFormatProblem extends TextPosition {
  readonly message: string;
}

const charactersMax = 1024 * 1024;
const depthMax = 32;
const fieldsMax = 20_000;
/** No type has numbers that need more, and a longer one would be told in full. */
const numberCharactersMax = 400;
/** Of an extension, in brackets. */
const nameCharactersMax = 1_024;

/** The fields of a message. Bounds: 1 Mi characters, 32 levels, 20,000 fields and entries of lists,
 * 400 characters a number, 1,024 a name in brackets. */
export function parseTextFormat(text: string): Result<readonly TextField[], TextFormatProblem> {
  if (text.length > charactersMax) {
    const message = `has ${text.length} characters; at most ${charactersMax} are read`;
    return err({ line: 1, column: 1, message });
  }
  try {
    return ok(new TextParser(text).document());
  } catch (cause) {
    if (!(cause instanceof TextFormatError)) throw cause;
    return err({ ...cause.at, message: cause.message });
  }
}

const strictText = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
const closing: Readonly<Record<string, string>> = { '{': '}', '<': '>' };

class TextParser {
  readonly #tokens: TextTokens;
  #token: TextToken;
  #fields = 0;

  constructor(text: string) {
    this.#tokens = new TextTokens(text);
    this.#token = this.#tokens.next();
  }

  document(): TextField[] {
    return this.#message(undefined, 0);
  }

  /** Up to the mark that closes it, or the end of the text. */
  #message(close: string | undefined, depth: number): TextField[] {
    if (depth > depthMax) throw this.#error(`is nested more than ${depthMax} levels deep`);
    const fields: TextField[] = [];
    for (;;) {
      const token = this.#token;
      if (token.kind === 'end') {
        if (close === undefined) return fields;
        throw this.#error(`a "${close}" is missing`);
      }
      if (close !== undefined && this.#isMark(close)) {
        this.#advance();
        return fields;
      }
      this.#field(fields, depth);
      if (this.#isMark(',') || this.#isMark(';')) this.#advance();
    }
  }

  #field(fields: TextField[], depth: number): void {
    const { line, column } = this.#token;
    const name = this.#fieldName();
    const add = (value: TextValue): void => {
      this.#fields += 1;
      if (this.#fields > fieldsMax) throw this.#error(`has more than ${fieldsMax} fields`);
      fields.push({ name, line, column, value });
    };
    const hasColon = this.#isMark(':');
    if (hasColon) this.#advance();
    if (this.#isMark('[')) {
      this.#list(hasColon, depth, add);
    } else if (this.#opens()) {
      add(this.#nested(depth));
    } else if (hasColon) {
      add(this.#scalar());
    } else {
      throw this.#error(`a ":" or "{" is missing after "${name}"`);
    }
  }

  #fieldName(): string {
    const token = this.#token;
    if (token.kind === 'name') {
      this.#advance();
      return token.text;
    }
    if (!this.#isMark('[')) throw this.#error('the name of a field is expected here');
    let name = '';
    for (;;) {
      const part = this.#token;
      if (part.kind !== 'name' && part.kind !== 'mark' && part.kind !== 'number') {
        throw this.#error('a "]" is missing');
      }
      name += part.text;
      if (name.length > nameCharactersMax) {
        throw this.#error(`the name of a field has at most ${nameCharactersMax} characters`);
      }
      this.#advance();
      if (part.text === ']') return name;
    }
  }

  /** Numbers of a list need a colon before it, messages do not. */
  #list(hasColon: boolean, depth: number, add: (value: TextValue) => void): void {
    this.#advance();
    if (this.#isMark(']')) {
      this.#advance();
      return;
    }
    for (;;) {
      if (this.#opens()) add(this.#nested(depth));
      else if (hasColon) add(this.#scalar());
      else throw this.#error('a ":" is missing before this list');
      if (this.#isMark(']')) {
        this.#advance();
        return;
      }
      if (!this.#isMark(',')) throw this.#error('a "," or "]" is missing');
      this.#advance();
    }
  }

  #opens(): boolean {
    return this.#isMark('{') || this.#isMark('<');
  }

  #nested(depth: number): TextValue {
    const token = this.#token;
    const { line, column } = token;
    const open = token.kind === 'mark' ? token.text : '';
    this.#advance();
    return { line, column, kind: 'message', fields: this.#message(closing[open], depth + 1) };
  }

  #scalar(): TextValue {
    const token = this.#token;
    const { line, column } = token;
    switch (token.kind) {
      case 'string':
        return { line, column, kind: 'string', text: this.#strings() };
      case 'name':
        this.#advance();
        return { line, column, kind: 'name', name: token.text };
      case 'number':
        this.#advance();
        return { line, column, ...numberOf(token.text, false, token) };
      case 'mark':
        if (token.text === '-') return { ...this.#negative(), line, column };
        throw this.#error('a value is expected here');
      case 'end':
        throw this.#error('a value is expected here');
    }
  }

  #negative(): TextValue {
    this.#advance();
    const token = this.#token;
    const { line, column } = token;
    if (token.kind === 'number') {
      this.#advance();
      return { line, column, ...numberOf(token.text, true, token) };
    }
    const word = token.kind === 'name' ? token.text.toLowerCase() : '';
    if (!/^(?:inf(?:inity)?|nan)$/u.test(word)) throw this.#error('a number is expected after "-"');
    this.#advance();
    return { line, column, kind: 'float', value: word === 'nan' ? NaN : -Infinity };
  }

  /** Strings that follow each other are one; their bytes together are UTF-8. */
  #strings(): string {
    const at = this.#token;
    const bytes: number[][] = [];
    while (this.#token.kind === 'string') {
      bytes.push([...this.#token.bytes]);
      this.#advance();
    }
    try {
      return strictText.decode(Uint8Array.from(bytes.flat()));
    } catch {
      throw new TextFormatError(at, 'the string is not valid UTF-8');
    }
  }

  #isMark(text: string): boolean {
    return this.#token.kind === 'mark' && this.#token.text === text;
  }

  #advance(): void {
    this.#token = this.#tokens.next();
  }

  #error(message: string): TextFormatError {
    return new TextFormatError(this.#token, message);
  }
}

function numberOf(
  text: string,
  isNegative: boolean,
  at: TextPosition,
): { readonly kind: 'integer'; readonly value: bigint } | { kind: 'float'; value: number } {
  if (text.length > numberCharactersMax) {
    throw new TextFormatError(at, `a number has at most ${numberCharactersMax} characters`);
  }
  if (/^0[xX]/u.test(text) || /^(?:0|[1-9][0-9]*)$/u.test(text)) {
    const value = BigInt(text);
    return { kind: 'integer', value: isNegative ? -value : value };
  }
  if (/^0[0-9]+$/u.test(text)) {
    if (!/^[0-7]+$/u.test(text)) {
      throw new TextFormatError(at, `"${text}" begins with 0 and is not octal`);
    }
    const value = BigInt(`0o${text.slice(1)}`);
    return { kind: 'integer', value: isNegative ? -value : value };
  }
  const value = Number(text.replace(/[fF]$/u, ''));
  return { kind: 'float', value: isNegative ? -value : value };
}
