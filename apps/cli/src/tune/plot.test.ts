import { expect, test } from 'vitest';
import { bar, barWithMark, figure, table } from './plot.ts';

test('a bar is as long as its share, to an eighth of a cell, and as wide as its column', () => {
  expect(bar(0, 4)).toBe('    ');
  expect(bar(1, 4)).toBe('████');
  expect(bar(0.5, 4)).toBe('██  ');
  expect(bar(1 / 32, 4)).toBe('▏   ');
  expect(bar(31 / 32, 4)).toBe('███▉');
  expect(bar(7, 3)).toBe('███');
});

test('what is not nothing leaves a trace', () => {
  expect(bar(1e-9, 4)).toBe('▏   ');
});

test('a mark stands where its value is, unless the bar has passed it or it is off the scale', () => {
  expect(barWithMark(0.25, 0.5, 8)).toBe('██  │   ');
  expect(barWithMark(0.75, 0.5, 8)).toBe('██████  ');
  expect(barWithMark(0.25, 1, 8)).toBe('██     │');
  expect(barWithMark(0.25, 1.5, 8)).toBe('██      ');
  expect(barWithMark(0.25, null, 8)).toBe('██      ');
});

test('a table is aligned to the right', () => {
  expect(table(['a', 'long'], [['100', '1'], ['2']])).toEqual(['  a  long', '100     1', '  2']);
});

test.each([
  [0.0449, '0.04'],
  [1.234, '1.23'],
  [45.67, '45.7'],
  [789.4, '789'],
  [12_345.6, '12,346'],
  [Infinity, '-'],
])('%d is shown as %s', (value, text) => {
  expect(figure(value)).toBe(text);
});
