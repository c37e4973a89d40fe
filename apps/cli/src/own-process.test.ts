/** Supervision with real processes: a small parent script, a smaller child. */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { registerLive, repositoryPath, waitFor } from '@inferry/testkit';
import { afterEach, beforeEach, expect, test } from 'vitest';

const source = (name: string): string =>
  JSON.stringify(`file://${repositoryPath('apps/cli/src', name)}`);

/** Prints its pid, then does what its argument says; a stop ends it with 0 after a drain of no length. */
const childScript = `
  import { once } from 'node:events';
  import { onReread, tellReady, watchStop } from ${source('own-process.ts')};
  const isLate = process.argv[2] === 'late';
  if (isLate) {
    console.log('child ' + process.pid);
    await once(process, 'disconnect');
  }
  const stop = watchStop();
  onReread(() => console.log('reads again'));
  if (process.argv[2] === 'slow') {
    console.log('child ' + process.pid);
    await once(process, 'SIGUSR2');
  }
  if (!isLate) tellReady('1234,5678');
  const { UV_THREADPOOL_SIZE: pool, INFERRY_KEPT_PORTS: ports } = process.env;
  console.log('child ' + process.pid + ' pool ' + pool + ' ports ' + ports);
  const idle = setInterval(() => undefined, 1_000);
  const reason = await stop.requested;
  console.log('stopped by ' + reason);
  if (process.argv[2] !== 'deaf') process.exit(0);
`;

const parentScript = (child: string): string => `
  import { systemClock } from ${JSON.stringify(import.meta.resolve('@inferry/runtime'))};
  import { runSupervised } from ${source('own-process.ts')};
  const error = (fields, message) => console.log(message + ' ' + fields.signal + ' ' + fields.code);
  const logger = { error };
  const argv = [...process.execArgv, ${JSON.stringify(child)}, ...process.argv.slice(2)];
  const env = { ...process.env, UV_THREADPOOL_SIZE: '7' };
  process.exit(await runSupervised({ argv, env, clock: systemClock, logger, stopMsMax: 20_000 }));
`;

let folder = '';
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'inferry-supervisor-'));
});

const cleanups: (() => void)[] = [];
afterEach(() => {
  for (const cleanup of cleanups.splice(0)) cleanup();
  rmSync(folder, { recursive: true });
});

interface Supervised {
  readonly parent: ChildProcess;
  readonly lines: readonly string[];
  readonly exit: Promise<number | null>;
  /** The n-th child's line, from 0. */
  readonly child: (n: number) => Promise<{ readonly pid: number; readonly line: string }>;
}

function start(...argv: string[]): Supervised {
  const child = join(folder, 'child.mjs');
  const script = join(folder, 'parent.mjs');
  writeFileSync(child, childScript);
  writeFileSync(script, parentScript(child));
  const flags = ['--conditions=@inferry/source', '--import', import.meta.resolve('tsx')];
  const parent = spawn(process.execPath, [...flags, script, ...argv], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const lines: string[] = [];
  createInterface({ input: parent.stdout }).on('line', (line) => lines.push(line));
  const exit = new Promise<number | null>((resolve) => parent.once('close', resolve));
  const unregister = registerLive('supervisor', () => parent.kill('SIGKILL'));
  cleanups.push(() => {
    parent.kill('SIGKILL');
    unregister();
  });
  const childLine = async (n: number): Promise<{ pid: number; line: string }> => {
    const line = await waitFor(() => lines.filter((text) => text.startsWith('child '))[n], {
      what: `child ${n}`,
    });
    return { pid: Number(line.split(' ')[1]), line };
  };
  return { parent, lines, exit, child: childLine };
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

test('a child that is killed is replaced and keeps its ports; SIGTERM ends the new one with 0', async () => {
  const { parent, lines, exit, child } = start();
  const first = await child(0);
  expect(first.line).toContain('pool 7 ports ');
  process.kill(first.pid, 'SIGKILL');
  const second = await child(1);
  expect(second.line).toContain('pool 7 ports 1234,5678');
  expect(lines).toContain('role ended unexpectedly, restarting SIGKILL null');
  parent.kill('SIGTERM');
  expect(await exit).toBe(0);
  expect(lines.at(-1)).toBe('stopped by SIGTERM');
});

test('a child whose parent is killed stops by itself', async () => {
  const { parent, lines, child } = start();
  const { pid } = await child(0);
  parent.kill('SIGKILL');
  await waitFor(() => !isAlive(pid), { what: 'the end of the child' });
  expect(lines.at(-1)).toBe('stopped by the supervisor is gone');
});

test('a child whose parent was killed before it could notice stops by itself', async () => {
  const { parent, lines, child } = start('late');
  const { pid } = await child(0);
  parent.kill('SIGKILL');
  await waitFor(() => !isAlive(pid), { what: 'the end of the child' });
  expect(lines.at(-1)).toBe('stopped by the supervisor is gone');
});

test('a second signal ends a child that does not listen', async () => {
  const { parent, lines, exit, child } = start('deaf');
  await child(0);
  parent.kill('SIGINT');
  await waitFor(() => lines.includes('stopped by SIGINT'), { what: 'the first signal' });
  parent.kill('SIGINT');
  expect(await exit).toBe(137);
});

test('SIGHUP is the wish to read files again, and stops nobody', async () => {
  const { parent, lines, exit, child } = start();
  await child(0);
  await waitFor(() => {
    parent.kill('SIGHUP');
    return lines.includes('reads again');
  });
  parent.kill('SIGTERM');
  expect(await exit).toBe(0);
  expect(lines.at(-1)).toBe('stopped by SIGTERM');
});

test('a child that is not ready yet is told to read again once it is', async () => {
  const { parent, lines, exit, child } = start('slow');
  const { pid } = await child(0);
  parent.kill('SIGHUP');
  process.kill(pid, 'SIGUSR2');
  await waitFor(() => lines.includes('reads again'), { what: 'the wish that was kept' });
  parent.kill('SIGTERM');
  expect(await exit).toBe(0);
});
