import { describe, expect, test } from 'vitest';
import { parseTextFormat, type TextField } from './text-format.ts';

/** Without places: `name=value`, messages in braces. */
function shown(fields: readonly TextField[]): string {
  return fields
    .map(({ name, value }) => {
      switch (value.kind) {
        case 'message':
          return `${name}{${shown(value.fields)}}`;
        case 'string':
          return `${name}=${JSON.stringify(value.text)}`;
        case 'name':
          return `${name}=${value.name}`;
        case 'integer':
          return `${name}=${value.value}`;
        case 'float':
          return `${name}~${value.value}`;
      }
    })
    .join(' ');
}

function read(text: string): string {
  const parsed = parseTextFormat(text);
  if (parsed.ok) return shown(parsed.value);
  const { line, column, message } = parsed.error;
  return `${line}:${column}: ${message}`;
}

describe('the text format', () => {
  test.each([
    ['', ''],
    ['# only a comment', ''],
    ['a: 1 # end\nb: 2', 'a=1 b=2'],
    ['a: 1, b: 2; c: 3', 'a=1 b=2 c=3'],
    ['m { a: 1 } n: { b: 2 } o < c: 3 >', 'm{a=1} n{b=2} o{c=3}'],
    ['m { n { } }; ', 'm{n{}}'],
    ['a: [1, 2] a: 3 b: []', 'a=1 a=2 a=3'],
    ['m [ { a: 1 }, < a: 2 > ] n: [ { a: 3 } ]', 'm{a=1} m{a=2} n{a=3}'],
    ['a: "x" "y"\n\'z\'', 'a="xyz"'],
    [String.raw`a: "\n\t\"\\\'\x41\101\u00e9\U0001F600\ud83d\ude00"`, 'a="\\n\\t\\"\\\\\'AAé😀😀"'],
    ['a: "it\'s" b: \'say "x"\'', 'a="it\'s" b="say \\"x\\""'],
    [String.raw`a: "\303\251"`, 'a="é"'],
    ['a: 0x1F b: 017 c: -5 d: - 5 e: 0', 'a=31 b=15 c=-5 d=-5 e=0'],
    ['a: 1.5 b: -2e3 c: .5 d: 3f e: 1.F', 'a~1.5 b~-2000 c~0.5 d~3 e~1'],
    ['a: inf b: -inf c: nan d: -nan', 'a=inf b~-Infinity c=nan d~NaN'],
    ['a: KIND_GPU b: true', 'a=KIND_GPU b=true'],
    ['[some.ext]: 1 [type.googleapis.com/x] { b: 1 }', '[some.ext]=1 [type.googleapis.com/x]{b=1}'],
    ['\uFEFFa: 1', 'a=1'],
    ['a: 18446744073709551615', 'a=18446744073709551615'],
  ])('%j', (text, expected) => {
    expect(read(text)).toBe(expected);
  });

  test.each([
    ['a', '1:2: a ":" or "{" is missing after "a"'],
    ['a: 1\nb 2', '2:3: a ":" or "{" is missing after "b"'],
    ['a {\n b: 1', '2:6: a "}" is missing'],
    ['a { b: 1 >', '1:10: the name of a field is expected here'],
    ['a: }', '1:4: a value is expected here'],
    ['a:', '1:3: a value is expected here'],
    ['a: "x\n"', '1:4: the string is not closed on its line'],
    [String.raw`a: "\q"`, '1:5: this escape is not known'],
    [String.raw`a: "\377"`, '1:4: the string is not valid UTF-8'],
    [String.raw`a: "\777"`, '1:5: \\777 is more than a byte holds'],
    [String.raw`a: "\ud800x"`, '1:5: this escape is no character'],
    [String.raw`a: "\UFFFFFFFF"`, '1:5: this escape is no character'],
    ['a: 1x', '1:4: "1" is followed by letters'],
    ['a: 09', '1:4: "09" begins with 0 and is not octal'],
    ['a: [1 2]', '1:7: a "," or "]" is missing'],
    ['a [1]', '1:4: a ":" is missing before this list'],
    ['a: - x', '1:6: a number is expected after "-"'],
    ['a: @', '1:4: "@" is not expected here'],
    [`a: ${'9'.repeat(401)}`, '1:4: a number has at most 400 characters'],
    ['a: 1 }', '1:6: the name of a field is expected here'],
    ['[x', '1:3: a "]" is missing'],
  ])('%j is refused', (text, expected) => {
    expect(read(text)).toBe(expected);
  });

  test('tells line and column of every field and value', () => {
    const parsed = parseTextFormat('a: 1\n  m {\n    b: [ 2,\n      3 ]\n  }\n');
    expect(parsed).toMatchObject({
      value: [
        { name: 'a', line: 1, column: 1, value: { line: 1, column: 4 } },
        {
          name: 'm',
          line: 2,
          column: 3,
          value: {
            line: 2,
            column: 5,
            fields: [
              { name: 'b', line: 3, value: { line: 3, column: 10, value: 2n } },
              { name: 'b', line: 3, value: { line: 4, column: 7, value: 3n } },
            ],
          },
        },
      ],
    });
  });

  test('is bounded in length, depth and number of fields', () => {
    expect(read('a {'.repeat(33) + '}'.repeat(33))).toContain('more than 32 levels deep');
    expect(read('a {'.repeat(32) + '}'.repeat(32))).toContain('a{a{a{');
    expect(read(`a: [${'1,'.repeat(20_000)}1]`)).toContain('more than 20000 fields');
    expect(read(`[${'.'.repeat(1_025)}`)).toContain('name of a field has at most 1024 characters');
    expect(read(' '.repeat(1024 * 1024 + 1))).toContain('characters; at most 1048576 are read');
  });
});
