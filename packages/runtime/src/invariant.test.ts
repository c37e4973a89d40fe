import { expect, test } from 'vitest';
import { invariant, InvariantError, unreachable } from './invariant.ts';
import { err, ok } from './result.ts';

test('a broken invariant throws and says what should have been true', () => {
  expect(() => invariant(true, 'fine')).not.toThrow();
  expect(() => invariant(0, 'a slot is free')).toThrow(InvariantError);
  expect(() => invariant(undefined, 'a slot is free')).toThrow('a slot is free (this is a bug)');
});

test('a value that no case takes is named', () => {
  expect(() => unreachable('left' as never)).toThrow('unexpected value "left"');
});

test('results tell success from failure', () => {
  expect(ok(1)).toEqual({ ok: true, value: 1 });
  expect(err('no')).toEqual({ ok: false, error: 'no' });
});
