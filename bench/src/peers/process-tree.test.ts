import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { expect, test } from 'vitest';
import {
  cpuMsOf,
  membersOf,
  parseBusyMs,
  parsePeakRssBytes,
  parseStat,
  processTree,
  type Stat,
  threadsOf,
} from './process-tree.ts';

function stat(id: number, parent: number, session: number): Stat {
  return { id, parent, session, name: `p${id}`, ticks: 10, endedChildrenTicks: 1 };
}

test('a process is read from its stat line, whatever its name holds', () => {
  const line =
    '4242 (a) b (c) S 17 4242 4200 0 -1 4194560 1022 55 0 0 250 50 7 3 20 0 11 0 1234567 734003200 9000';
  expect(parseStat(line)).toEqual({
    id: 4242,
    name: 'a) b (c',
    parent: 17,
    session: 4200,
    ticks: 300,
    endedChildrenTicks: 10,
  });
});

test('peak memory is the high-water mark, and none of a kernel thread', () => {
  expect(parsePeakRssBytes('Name:\tnode\nVmHWM:\t  123456 kB\nVmRSS:\t 99 kB\n')).toBe(126_418_944);
  expect(parsePeakRssBytes('Name:\tkworker/0:1\n')).toBe(0);
});

test('time in which cores were idle or waited for disks is not busy', () => {
  const text = 'cpu  100 20 30 4000 500 6 7 8 0 0\ncpu0 1 1 1 1 1 1 1 1 0 0\n';
  expect(parseBusyMs(text)).toBe((100 + 20 + 30 + 6 + 7 + 8) * 10);
});

test('members are the roots, their descendants, and who left its parent but not the session of a root', () => {
  const all = [
    stat(30, 20, 10),
    stat(20, 10, 10),
    stat(10, 1, 10),
    stat(40, 1, 10),
    stat(50, 40, 50),
    stat(60, 1, 5),
    stat(5, 1, 5),
    stat(2, 0, 0),
  ];
  const ids = membersOf([10], all).map(({ id }) => id);
  expect(ids.toSorted((a, b) => a - b)).toEqual([10, 20, 30, 40, 50]);
});

test('the time of a tree includes children that have ended', () => {
  expect(cpuMsOf([stat(1, 0, 1), stat(2, 1, 1)])).toBe(220);
});

test('a living process is found with its child and its threads, and not after its end', async () => {
  const code = 'require("node:child_process").spawn("sleep", ["60"], { stdio: "ignore" });';
  const parent = spawn(
    process.execPath,
    ['-e', `${code} console.log("up"); setInterval(String, 1e6);`],
    {
      stdio: ['ignore', 'pipe', 'inherit'],
      detached: true,
    },
  );
  const pid = parent.pid ?? 0;
  try {
    await once(parent.stdout, 'data');
    const tree = processTree([pid]);
    expect(tree.map(({ name }) => name).toSorted()).toEqual(['node', 'sleep']);
    expect(threadsOf(pid)[0]?.id).toBe(pid);
    expect(threadsOf(pid).length).toBeGreaterThan(1);
  } finally {
    process.kill(-pid, 'SIGKILL');
    await once(parent, 'close');
  }
  expect(threadsOf(pid)).toEqual([]);
});
