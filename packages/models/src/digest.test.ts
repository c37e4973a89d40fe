/** Digests of files, and which files are read for them. */
import { createHash } from 'node:crypto';
import { mkdtempSync, renameSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { digestOf } from './digest.ts';

let folder = '';
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'inferry-digest-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

function file(name: string, text: string): string {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
}

test('each file counts with its bytes and its length', async () => {
  const files = [file('a', 'ab'), file('b', 'c')];
  const expected = createHash('sha256').update('ab\n2\nc\n1\n').digest('hex');
  expect(await digestOf(files)).toBe(expected);
  expect(await digestOf([file('c', 'a'), file('d', 'bc')])).not.toBe(expected);
});

test('a change is seen at once, however soon it comes and however alike the files look', async () => {
  const path = file('a', 'one');
  const first = await digestOf([path]);
  writeFileSync(path, 'two');
  const second = await digestOf([path]);
  expect(second).not.toBe(first);
  // Another file of the same length, with the same time of change.
  const at = new Date(1_000_000_000_000);
  utimesSync(path, at, at);
  await digestOf([path]);
  const other = file('b', 'six');
  utimesSync(other, at, at);
  renameSync(other, path);
  expect(await digestOf([path])).toBe(createHash('sha256').update('six\n3\n').digest('hex'));
});
