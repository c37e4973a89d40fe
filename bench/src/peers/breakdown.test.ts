import { expect, test } from 'vitest';
import { type ThreadUsage, usageBetween } from './breakdown.ts';

function usage(thread: string, cpuMs: number): ThreadUsage {
  return { process: 'gateway', thread, cpuMs };
}

test('what was used before does not count, threads of one name are one line, and the largest is first', () => {
  const before = new Map([
    [1, usage('main', 1_000)],
    [2, usage('helpers', 50)],
  ]);
  const after = new Map([
    [1, usage('main', 1_100)],
    [2, usage('helpers', 150)],
    [3, usage('helpers', 200)],
    [4, usage('idle', 1)],
  ]);
  expect(usageBetween(before, after, 100)).toEqual([
    usage('helpers', 3),
    usage('main', 1),
    { process: 'all', thread: 'other threads', cpuMs: 0.01 },
  ]);
});
