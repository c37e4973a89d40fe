import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import {
  parseCancelAfter,
  parseIdempotencyKey,
  parsePrefer,
  parseWait,
} from './request-headers.ts';

describe('Prefer', () => {
  test.each([
    [undefined, { waitMs: undefined, respondAsync: false }],
    ['wait=10', { waitMs: 10_000, respondAsync: false }],
    ['wait', { waitMs: 'default', respondAsync: false }],
    ['respond-async, wait=5', { waitMs: 5000, respondAsync: true }],
    ['Wait = "7"; x=1, wait=9', { waitMs: 7000, respondAsync: false }],
    ['wait=soon, handling=strict', { waitMs: undefined, respondAsync: false }],
  ])('%s', (header, expected) => {
    expect(parsePrefer(header)).toEqual(expected);
  });

  test('of any text is read without an error', () => {
    fc.assert(fc.property(fc.string(), (text) => parsePrefer(text).waitMs !== 0.5));
  });
});

test.each([
  ['20', 20_000],
  ['99999999999', 99_999_999_999_000],
  ['9'.repeat(400), Infinity],
  ['', 'default'],
  ['-1', undefined],
  ['1.5', undefined],
])('wait=%s', (text, expected) => {
  expect(parseWait(text)).toBe(expected);
});

test.each([
  ['30', 30_000],
  ['90s', 90_000],
  ['5m', 300_000],
  ['1h30m', 5_400_000],
  ['', undefined],
  ['30ms', undefined],
  ['1m1h', undefined],
  ['-5', undefined],
])('Cancel-After: %s', (text, expected) => {
  expect(parseCancelAfter(text)).toBe(expected);
});

test.each([
  ['abc', 'abc'],
  ['"abc"', 'abc'],
  ['"a\\"b"', 'a"b'],
  ['', undefined],
  ['""', undefined],
  ['a b', undefined],
  ['x'.repeat(255), 'x'.repeat(255)],
  ['x'.repeat(256), undefined],
])('Idempotency-Key: %s', (text, expected) => {
  expect(parseIdempotencyKey(text)).toBe(expected);
});
