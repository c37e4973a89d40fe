import { expect, test } from 'vitest';

import { parseJson } from './json.ts';

const parse = (text: string) => parseJson(new TextEncoder().encode(text));

test('of members with the same name the last one counts, with long integers in the text and without', () => {
  expect(parse('{"a":1,"a":2}')).toEqual({ ok: true, value: { a: 2 } });
  expect(parse('{"a":1,"a":2,"b":9007199254740993}')).toEqual({
    ok: true,
    value: { a: 2, b: 9_007_199_254_740_993n },
  });
});

test('an integer of millions of digits is a number like any other', () => {
  expect(parse(`[1${'0'.repeat(5_000_000)}]`)).toEqual({ ok: true, value: [Infinity] });
});
