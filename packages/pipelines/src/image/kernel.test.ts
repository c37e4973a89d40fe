/** The kernel that is committed is the one that its source says. */
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

test('kernel-binary.ts is what the pinned compiler makes of the kernel', () => {
  const build = fileURLToPath(new URL('../../kernel/build.mjs', import.meta.url));
  const { status, stderr } = spawnSync(process.execPath, [build, '--check'], { encoding: 'utf8' });
  expect(stderr).toBe('');
  expect(status).toBe(0);
});
