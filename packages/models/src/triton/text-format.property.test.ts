/** What is printed is read back, and nothing that is written makes the parser throw. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { parseTextFormat, type TextField, type TextValue } from './text-format.ts';

type Value =
  | { readonly kind: 'string'; readonly text: string }
  | { readonly kind: 'integer'; readonly value: bigint }
  | { readonly kind: 'float'; readonly value: number }
  | { readonly kind: 'name'; readonly name: string }
  | { readonly kind: 'message'; readonly fields: readonly Field[] };
interface Field {
  readonly name: string;
  readonly value: Value;
}

const name = fc.stringMatching(/^[A-Za-z_][A-Za-z0-9_]{0,8}$/u);
const scalar: fc.Arbitrary<Value> = fc.oneof(
  fc.record({ kind: fc.constant('string' as const), text: fc.string({ unit: 'grapheme' }) }),
  fc.record({ kind: fc.constant('integer' as const), value: fc.bigInt(-(2n ** 64n), 2n ** 64n) }),
  fc.record({
    kind: fc.constant('float' as const),
    value: fc.double({ noNaN: true, noInteger: true, noDefaultInfinity: true }),
  }),
  fc.record({ kind: fc.constant('name' as const), name }),
);
const { fields } = fc.letrec<{ fields: readonly Field[]; message: Value }>((tie) => ({
  fields: fc.array(
    fc.record({ name, value: fc.oneof({ depthSize: 'small' }, scalar, tie('message')) }),
    {
      maxLength: 5,
      depthIdentifier: 'fields',
    },
  ),
  message: fc.record({ kind: fc.constant('message' as const), fields: tie('fields') }),
}));

/** A way to write it, chosen by `random`: separators, colons, brackets, quotes and escapes. */
function print(wanted: readonly Field[], random: () => number): string {
  const oneOf = <T>(...ways: readonly [T, ...T[]]): T =>
    ways[Math.floor(random() * ways.length)] ?? ways[0];
  const written = (value: Value): string => {
    switch (value.kind) {
      case 'string':
        return quoted(value.text, oneOf);
      case 'integer':
        return String(value.value);
      case 'float':
        return `${value.value}${oneOf('', 'f', 'F')}`;
      case 'name':
        return value.name;
      case 'message': {
        const inner = print(value.fields, random);
        return oneOf(`{ ${inner} }`, `<${inner}>`, `{\n# note }\n${inner}\n}`);
      }
    }
  };
  return wanted
    .map(({ name: field, value }) => {
      const colon = value.kind === 'message' ? oneOf('', ' ', ':', ' : ') : oneOf(':', ': ');
      const body = written(value);
      return `${field}${colon}${oneOf(body, `[${body}]`)}`.replace(
        /^(\w+) ?\[/u,
        (whole, word: string) => (value.kind === 'message' ? whole : `${word}: [`),
      );
    })
    .join(oneOf(' ', '\n', ', ', ';\n', ' # a comment\n'));
}

function quoted(text: string, oneOf: <T>(...ways: readonly [T, ...T[]]) => T): string {
  const quote = oneOf('"', "'");
  const inner = Array.from(text)
    .map((character) => {
      const code = character.codePointAt(0) ?? 0;
      const long = `\\U${code.toString(16).padStart(8, '0')}`;
      const bytes = [...new TextEncoder().encode(character)];
      const octal = bytes.map((byte) => `\\${byte.toString(8).padStart(3, '0')}`).join('');
      const isPlain = character !== quote && character !== '\\' && character !== '\n' && code !== 0;
      return oneOf(isPlain ? character : long, long, octal);
    })
    .join(oneOf('', ''));
  return `${quote}${inner}${quote}`;
}

function bare(read: readonly TextField[]): readonly Field[] {
  return read.map((field) => ({ name: field.name, value: bareValue(field.value) }));
}

function bareValue({ line: _line, column: _column, ...value }: TextValue): Value {
  return value.kind === 'message' ? { kind: 'message', fields: bare(value.fields) } : value;
}

test('what is printed is read back as it was', () => {
  fc.assert(
    fc.property(
      fields,
      fc.array(fc.double({ min: 0, max: 0.999, noNaN: true }), { minLength: 1 }),
      (wanted, dice) => {
        let thrown = 0;
        const text = print(wanted, () => dice[(thrown += 1) % dice.length] ?? 0);
        const parsed = parseTextFormat(text);
        expect(parsed.ok ? bare(parsed.value) : parsed.error, text).toEqual(wanted);
      },
    ),
  );
});

test('garbage is read or refused, with a place in the text', () => {
  const piece = fc.constantFrom(
    '{',
    '}',
    '[',
    ']',
    '<',
    '>',
    ':',
    ',',
    ';',
    '-',
    '"',
    "'",
    '\\',
    '#',
    '\n',
    'a',
    '0',
    '1e',
    '.',
    '/',
    '\\x',
    '\\u',
    ' ',
  );
  const garbage = fc.oneof(
    fc.string({ unit: 'binary' }),
    fc.array(piece, { maxLength: 60 }).map((pieces) => pieces.join('')),
  );
  fc.assert(
    fc.property(garbage, (text) => {
      const parsed = parseTextFormat(text);
      if (parsed.ok) return;
      const { line, column } = parsed.error;
      expect(line).toBeGreaterThanOrEqual(1);
      expect(line).toBeLessThanOrEqual(text.split('\n').length);
      expect(column).toBeGreaterThanOrEqual(1);
    }),
  );
});
