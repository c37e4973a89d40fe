/**
 * Tokens of the protobuf text format, each with its line and column. The facts are those of
 * https://protobuf.dev/reference/protobuf/textformat-spec/.
 */

/** 1-based. */
export interface TextPosition {
  readonly line: number;
  readonly column: number;
}

export type TextToken = TextPosition &
  (
    | { readonly kind: 'name'; readonly text: string }
    /** As written, without a sign. */
    | { readonly kind: 'number'; readonly text: string }
    | { readonly kind: 'string'; readonly bytes: readonly number[] }
    /** One of `: { } < > [ ] , ; - . /`. */
    | { readonly kind: 'mark'; readonly text: string }
    | { readonly kind: 'end' }
  );

/** Ends the parsing; it never leaves this folder. */
export class TextFormatError extends Error {
  readonly at: TextPosition;

  constructor(at: TextPosition, message: string) {
    super(message);
    this.at = at;
  }
}

const blankPattern = /(?:[ \t\r\n\f\v]|#[^\n]*)+/uy;
const namePattern = /[A-Za-z_][A-Za-z0-9_]*/uy;
const numberPattern =
  /(?:0[xX][0-9a-fA-F]+|(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?[fF]?)/uy;
const escapePattern =
  /\\(?:([abfnrtv?\\'"])|([0-7]{1,3})|[xX]([0-9a-fA-F]{1,2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8}))/uy;
const plainPattern = /[^"'\\\n\0]+/uy;
const marks = ':{}<>[],;-./';

const simpleEscapes: Readonly<Record<string, number>> = {
  a: 7,
  b: 8,
  f: 12,
  n: 10,
  r: 13,
  t: 9,
  v: 11,
};

export class TextTokens {
  readonly #text: string;
  readonly #encoder = new TextEncoder();
  #offset = 0;
  #line = 1;
  #lineStart = 0;

  constructor(text: string) {
    // A byte order mark is no part of the first name.
    this.#text = text.startsWith('\uFEFF') ? text.slice(1) : text;
  }

  /** Throws {@link TextFormatError} where no token begins. */
  next(): TextToken {
    this.#skipBlank();
    const at = this.#position();
    const character = this.#text[this.#offset];
    if (character === undefined) return { ...at, kind: 'end' };
    if (character === '"' || character === "'") {
      return { ...at, kind: 'string', bytes: this.#string(character, at) };
    }
    const name = this.#take(namePattern);
    if (name !== undefined) return { ...at, kind: 'name', text: name[0] };
    const number = this.#take(numberPattern);
    if (number !== undefined) {
      if (this.#take(namePattern) === undefined) return { ...at, kind: 'number', text: number[0] };
      throw new TextFormatError(at, `"${number[0]}" is followed by letters`);
    }
    if (!marks.includes(character)) {
      throw new TextFormatError(at, `${JSON.stringify(character)} is not expected here`);
    }
    this.#offset += 1;
    return { ...at, kind: 'mark', text: character };
  }

  #skipBlank(): void {
    const start = this.#offset;
    // Searched in the blank alone: the next line break of the text may be a megabyte away, for every token.
    const blank = this.#take(blankPattern)?.[0] ?? '';
    for (let at = blank.indexOf('\n'); at !== -1; at = blank.indexOf('\n', at + 1)) {
      this.#line += 1;
      this.#lineStart = start + at + 1;
    }
  }

  #position(): TextPosition {
    return { line: this.#line, column: this.#offset - this.#lineStart + 1 };
  }

  #take(pattern: RegExp): RegExpExecArray | undefined {
    pattern.lastIndex = this.#offset;
    const match = pattern.exec(this.#text);
    if (match === null) return undefined;
    this.#offset += match[0].length;
    return match;
  }

  #string(quote: string, at: TextPosition): number[] {
    this.#offset += 1;
    const bytes: number[] = [];
    for (;;) {
      const character = this.#text[this.#offset];
      if (character === quote) {
        this.#offset += 1;
        return bytes;
      }
      if (character === undefined || character === '\n') {
        throw new TextFormatError(at, 'the string is not closed on its line');
      }
      if (character === '\\') {
        this.#escape(bytes);
      } else if (character === '"' || character === "'") {
        this.#offset += 1;
        bytes.push(character.charCodeAt(0));
      } else {
        const plain = this.#take(plainPattern);
        if (plain === undefined) {
          throw new TextFormatError(this.#position(), 'a string may not hold a zero byte as it is');
        }
        for (const byte of this.#encoder.encode(plain[0])) bytes.push(byte);
      }
    }
  }

  #escape(bytes: number[]): void {
    const at = this.#position();
    const escape = this.#take(escapePattern);
    if (escape === undefined) throw new TextFormatError(at, 'this escape is not known');
    const [, simple, octal, hex, short, long] = escape;
    if (simple !== undefined) {
      bytes.push(simpleEscapes[simple] ?? simple.charCodeAt(0));
    } else if (octal !== undefined || hex !== undefined) {
      const byte = octal === undefined ? parseInt(hex ?? '', 16) : parseInt(octal, 8);
      if (byte > 255) throw new TextFormatError(at, `\\${octal ?? ''} is more than a byte holds`);
      bytes.push(byte);
    } else {
      const code = this.#codePoint(parseInt(short ?? long ?? '', 16), at);
      for (const byte of this.#encoder.encode(String.fromCodePoint(code))) bytes.push(byte);
    }
  }

  /** Two escapes that are halves of one character are that character. */
  #codePoint(first: number, at: TextPosition): number {
    if (first <= 0x10_ff_ff && (first < 0xd8_00 || first > 0xdf_ff)) return first;
    const second = first < 0xdc_00 ? this.#take(escapePattern) : undefined;
    const low = parseInt(second?.[4] ?? second?.[5] ?? '', 16);
    if (first >= 0xd8_00 && low >= 0xdc_00 && low <= 0xdf_ff) {
      return 0x1_00_00 + (first - 0xd8_00) * 0x4_00 + (low - 0xdc_00);
    }
    throw new TextFormatError(at, 'this escape is no character');
  }
}
