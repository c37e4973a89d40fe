import { VirtualClock } from '@inferry/runtime';
import { expect, test } from 'vitest';
import type { Phase } from './measure.ts';
import { openProgress } from './progress.ts';
import { Tally } from './tally.ts';

test('the line moves with time, is gone for text, and for good at the end', async () => {
  const clock = new VirtualClock();
  const lines: string[] = [];
  const progress = openProgress(clock, (text) => lines.push(text));
  const tally = new Tally();
  const durationMs = 1_000;
  const phase: Phase = { name: 'window', number: 2, startedAtMs: clock.nowMs(), durationMs, tally };
  progress.show('concurrency 4 (1 of 2)', phase);
  await clock.advance(500);
  const facts = { stages: new Map(), batchRows: null, overtakenBy: null, latencyMs: 1, lateMs: 0 };
  tally.add({ status: 503, code: 'queue_full', isSuccess: false, ...facts });
  await clock.advance(800);
  expect(lines).toContain('concurrency 4 (1 of 2), window 2  [########            ]  0 requests');
  expect(lines.at(-1)).toBe(
    'concurrency 4 (1 of 2), window 2  [####################]  1 requests, 1 errors',
  );
  progress.clear();
  expect(lines.at(-1)).toBe('');
  await clock.advance(1_000);
  expect(lines.at(-1)).toBe('');
  progress.close();
  expect(clock.pendingTimers).toBe(0);
});
