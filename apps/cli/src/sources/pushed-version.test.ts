import { expect, test } from 'vitest';
import { hasSameFiles, manifestText, parseManifest, type PushedVersion } from './pushed-version.ts';

const sha256 = 'a'.repeat(64);
const file = { path: '1/model.onnx', bytes: 634, sha256 };
const pushed: PushedVersion = {
  model: 'iris',
  version: '1',
  form: 'plain',
  digest: 'd',
  files: [file],
};

test('what was written is read again', () => {
  expect(parseManifest(manifestText(pushed))).toEqual({ ok: true, value: pushed });
});

test.each([
  ['no JSON', 'x', 'is no manifest'],
  ['another document', '{"files": []}', 'is no manifest'],
  ['null', 'null', 'is no manifest'],
  ['a newer format', '{"inferry": 2}', 'was pushed by a newer inferry'],
  ['no files', manifestText({ ...pushed, files: [] }), 'must name 1 to 10000 files'],
  ['a name of no model', manifestText({ ...pushed, model: '../x' }), 'is no manifest'],
  ['a path out', manifestText({ ...pushed, files: [{ ...file, path: '../x' }] }), 'is no manifest'],
  ['a root', manifestText({ ...pushed, files: [{ ...file, path: '/x' }] }), 'names a file that'],
  ['a backslash', manifestText({ ...pushed, files: [{ ...file, path: 'a\\b' }] }), 'names a file'],
  ['a hidden file', manifestText({ ...pushed, files: [{ ...file, path: '.x/y' }] }), 'no manifest'],
  ['a file twice', manifestText({ ...pushed, files: [file, file] }), 'is no manifest'],
  ['no size', manifestText({ ...pushed, files: [{ ...file, bytes: -1 }] }), 'is no manifest'],
  ['no digest', manifestText({ ...pushed, files: [{ ...file, sha256: 'x' }] }), 'is no manifest'],
])('%s is refused', (_, text, told) => {
  const parsed = parseManifest(text);
  expect(parsed.ok ? '' : parsed.error).toContain(told);
});

test('pushes are the same by their files alone', () => {
  expect(hasSameFiles(pushed, { ...pushed, digest: 'e' })).toBe(true);
  const other = { ...pushed, files: [{ ...file, sha256: 'b'.repeat(64) }] };
  expect(hasSameFiles(pushed, other)).toBe(false);
});
