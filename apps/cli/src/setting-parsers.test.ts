import { expect, test } from 'vitest';
import { isLoopback } from './setting-parsers.ts';

test.each([
  ['127.0.0.1', true],
  ['127.8.0.1', true],
  ['localhost', true],
  ['::1', true],
  ['0.0.0.0', false],
  ['::', false],
  ['10.0.0.7', false],
  // A name that only looks like an address.
  ['127.0.0.1.example.com', false],
])('what listens on %s is reached from this machine alone: %s', (host, expected) => {
  expect(isLoopback(host)).toBe(expected);
});
