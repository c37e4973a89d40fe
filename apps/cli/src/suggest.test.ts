import { expect, test } from 'vitest';
import { didYouMean, suggest } from './suggest.ts';

test('a slip of one or two letters finds its word', () => {
  expect(suggest('sevre', ['serve', 'gateway'])).toBe('serve');
  expect(suggest('--metrc-port', ['--port', '--metrics-port'])).toBe('--metrics-port');
  expect(didYouMean('workr', ['worker'])).toBe('; did you mean worker?');
});

test('another word is not taken for a slip', () => {
  expect(suggest('banana', ['serve', 'gateway'])).toBeUndefined();
  expect(suggest('hat', ['cut'])).toBeUndefined();
  expect(didYouMean('banana', ['serve'])).toBe('');
});
