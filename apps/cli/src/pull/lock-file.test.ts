import { spawnSync } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { waitFor } from '@inferry/testkit';
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

test('one that has been silent for long is taken over, whoever had it', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'inferry-lock-'));
  const file = join(folder, 'lock');
  // Of a container that is gone; of a number that another process has now; of one that was killed as it made it.
  for (const owner of ['20 gone.example', `${process.ppid} ${hostname()}`, '']) {
    await writeFile(file, owner);
    expect(await lockFile(file, 'works')).toMatchObject({ ok: false });
    const longAgo = Date.now() / 1_000 - 61;
    await utimes(file, longAgo, longAgo);
    const lock = await lockFile(file, 'works');
    expect(lock.ok).toBe(true);
    if (lock.ok) await lock.value();
    expect(await readdir(folder)).toEqual([]);
  }
  await rm(folder, { recursive: true });
});

test('who has it shows that it lives, and gives back no lock but its own', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'inferry-lock-'));
  const file = join(folder, 'lock');
  const lock = await lockFile(file, 'works', 10);
  await utimes(file, 0, 0);
  await waitFor(async () => (await stat(file)).mtimeMs > 0);
  await rm(file);
  await writeFile(file, '20 other.example');
  if (lock.ok) await lock.value();
  expect(await readFile(file, 'utf8')).toBe('20 other.example');
  await rm(folder, { recursive: true });
});
