import { lstat, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { replaceFile } from './replace-file.ts';

test('a file is made, replaced, and a link to it stays one', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'inferry-replace-'));
  const [file, link] = [join(folder, 'file'), join(folder, 'link')];
  await replaceFile(file, 'one');
  await symlink('file', link);
  await replaceFile(link, 'two');
  expect((await lstat(link)).isSymbolicLink()).toBe(true);
  expect(await readFile(file, 'utf8')).toBe('two');
  expect(await readdir(folder)).toEqual(['file', 'link']);
  await rm(folder, { recursive: true });
});

test('what cannot be written stays as it was', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'inferry-replace-'));
  await writeFile(join(folder, 'file'), 'one');
  await expect(replaceFile(join(folder, 'none', 'file'), 'two')).rejects.toThrow('ENOENT');
  await expect(replaceFile(folder, 'two')).rejects.toThrow();
  expect(await readFile(join(folder, 'file'), 'utf8')).toBe('one');
  await rm(folder, { recursive: true });
});
