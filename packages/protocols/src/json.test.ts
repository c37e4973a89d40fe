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

test('a body is refused for too many objects and members, not for elements or what is in strings', () => {
  const ofItems = (item: string, count: number) =>
    parse(`[${`${item},`.repeat(count - 1)}${item}]`);
  const refused = {
    ok: false,
    error: {
      code: 'malformed_json',
      detail: 'The body has more than 131072 objects and members.',
    },
  };
  for (const [item, count] of [
    ['{}', 131_072],
    ['{"":0}', 65_536],
  ] as const) {
    expect(ofItems(item, count).ok).toBe(true);
    expect(ofItems(item, count + 1)).toMatchObject(refused);
  }
  expect(ofItems('[0,":{"]', 200_000).ok).toBe(true);
});
