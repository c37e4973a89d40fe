import { spawnSync } from 'node:child_process';
import { mkdtemp, rm, utimes, writeFile } from 'node:fs/promises';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { lockFile } from './lock-file.ts';

test('a lock is had by one, and again once it was given back', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'inferry-lock-'));
  const file = join(folder, 'lock');
  const first = await lockFile(file, 'works');
  expect(await lockFile(file, 'works')).toMatchObject({ ok: false });
  if (first.ok) await first.value();
  expect(await lockFile(file, 'works')).toMatchObject({ ok: true });
  await rm(folder, { recursive: true });
});

test('that of a dead process is taken over, that of another machine is not', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'inferry-lock-'));
  const file = join(folder, 'lock');
  const { pid } = spawnSync(process.execPath, ['-e', '0']);
  await writeFile(file, `${pid} elsewhere.example`);
  expect(await lockFile(file, 'works')).toMatchObject({ ok: false });
  await writeFile(file, `${pid} ${hostname()}`);
  expect(await lockFile(file, 'works')).toMatchObject({ ok: true });
  await rm(folder, { recursive: true });
});

test('that of an earlier process with the same number is taken over', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'inferry-lock-'));
  const file = join(folder, 'lock');
  await writeFile(file, `${process.pid} ${hostname()}`);
  expect(await lockFile(file, 'works')).toMatchObject({ ok: false });
  await utimes(file, 0, performance.timeOrigin / 1_000 - 60);
  expect(await lockFile(file, 'works')).toMatchObject({ ok: true });
  await rm(folder, { recursive: true });
});
