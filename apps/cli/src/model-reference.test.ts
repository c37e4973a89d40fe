import { expect, test } from 'vitest';
import { parseModelReference } from './model-reference.ts';

test('a name, or a name with a version', () => {
  expect(parseModelReference('digits')).toEqual({ model: 'digits', version: null });
  expect(parseModelReference('digits@2')).toEqual({ model: 'digits', version: '2' });
});

test.each(['', '@1', 'digits@', 'a@b@c', '../x', 'a b'])('"%s" is neither', (text) => {
  expect(parseModelReference(text)).toBeUndefined();
});
