import { expect, test } from 'vitest';
import { isTerminal } from './job.ts';

test('a job that is queued or running has not ended, every other has', () => {
  expect((['queued', 'running'] as const).map(isTerminal)).toEqual([false, false]);
  expect((['succeeded', 'failed', 'canceled', 'expired'] as const).map(isTerminal)).toEqual([
    true,
    true,
    true,
    true,
  ]);
});
