import { expect, test } from 'vitest';
import { parseExposition } from './exposition.ts';

test('samples are read with their labels; comments and instants are not', () => {
  const text = [
    '# HELP a_total Some.',
    'a_total 3',
    'b{x="1 } 2",y="z"} 0.25 1700000000000',
    'c +Inf',
    '',
    'nonsense',
  ].join('\n');
  expect([...parseExposition(text)]).toEqual([
    ['a_total', 3],
    ['b{x="1 } 2",y="z"}', 0.25],
    ['c', Number.POSITIVE_INFINITY],
  ]);
});
