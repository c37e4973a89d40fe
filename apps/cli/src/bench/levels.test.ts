import { expect, test } from 'vitest';
import { parseLevels } from './levels.ts';

function values(text: string, kind: 'concurrency' | 'request_rate' = 'concurrency') {
  const levels = parseLevels(kind, text);
  return levels.ok ? levels.value.map(({ value }) => value) : levels.error;
}

test('a list, a range with a step and a range with a factor', () => {
  expect(values('1,2, 8')).toEqual([1, 2, 8]);
  expect(values('1:3')).toEqual([1, 2, 3]);
  expect(values('10:30:10')).toEqual([10, 20, 30]);
  expect(values('1:16:*2')).toEqual([1, 2, 4, 8, 16]);
  expect(values('1,4:6,20:50:*2')).toEqual([1, 4, 5, 6, 20, 40]);
  expect(values('0.1:0.3:0.1', 'request_rate')).toEqual([0.1, 0.2, 0.3]);
});

test('what is no load is named, with the bounds', () => {
  const bounds = 'each is a whole number from 1 to 10000';
  for (const text of ['0', '1.5', '10001', 'x', '1,,2', '']) expect(values(text)).toContain(bounds);
  expect(values('0', 'request_rate')).toContain('from 0.01 to 100000');
});

test('what is no range is named', () => {
  for (const text of ['4:1', '1:', ':4', '1:8:0', '1:8:*1', '1:8:x', '1:2:3:4', '1:Infinity']) {
    expect(values(text)).toContain(`has "${text}", which is no range`);
  }
});

test('more loads than anybody waits for are refused before they are counted out', () => {
  expect(values('1:10000')).toBe('has more than 100 loads');
  expect(values(Array.from({ length: 101 }, () => '1').join(','))).toBe('has more than 100 loads');
});
