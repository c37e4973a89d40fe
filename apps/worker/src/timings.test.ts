import type { ClassId, ErrorCode, Outcome } from '@inferry/contracts';
import type { Claim } from '@inferry/queue';
import { VirtualClock } from '@inferry/runtime';
import { expect, test } from 'vitest';
import { HeldJob } from './held-job.ts';
import { QueueClock } from './queue-clock.ts';
import type { WorkerTelemetry } from './telemetry.ts';
import { type Marks, observeSettled, stageTimings } from './timings.ts';

const enqueuedAtMs = 1_000;
const claimedAtMs = 1_100;

function heldJob(marks: Marks, dueAtMs: number | null = null): HeldJob {
  const job = {
    class: 'm@1' as ClassId,
    priority: 'high',
    admissionMs: 4,
  } as Claim['job'];
  const promise = { readyAtMs: 1_150, startByMs: 1_200, dueAtMs };
  const held = new HeldJob({ job, enqueuedAtMs, claimedAtMs, promise, attempt: 1 } as Claim);
  Object.assign(held.marks, marks);
  return held;
}

/** Names and arguments of what was told when the job was settled at this instant of the queue. */
function told(
  held: HeldJob,
  settledAtMs: number,
  ending: Partial<Outcome> = {},
): readonly (readonly unknown[])[] {
  const calls: unknown[][] = [];
  const telemetry = new Proxy({} as WorkerTelemetry, {
    get:
      (_, name) =>
      (...args: unknown[]) =>
        void calls.push([name, ...args]),
  });
  const clock = new QueueClock(new VirtualClock());
  const readyAtMs = held.marks.readyAtMs ?? settledAtMs;
  held.outcome = {
    status: 'succeeded',
    output: null,
    error: null,
    batchRows: 1,
    timings: stageTimings(held.claim, held.marks, readyAtMs, clock),
    readyAtMs,
    overtakenBy: 0,
    ...ending,
  };
  observeSettled(held, { result: 'settled', settledAtMs }, clock, telemetry, 'm');
  return calls;
}

const inOrder: Marks = {
  fetchedAtMs: 1_101,
  preparedAtMs: 1_102,
  runAtMs: 1_103,
  ranAtMs: 1_120,
  readyAtMs: 1_121,
};

function countOf(calls: readonly (readonly unknown[])[], name: string): number {
  return calls.filter(([called]) => called === name).length;
}

test('a job in order is told with its stages and its whole, and nothing is clamped', () => {
  const calls = told(heldJob(inOrder), 1_122);
  expect(calls.filter(([name]) => name !== 'stage')).toEqual([
    ['settled', 'm@1', 'high', 'succeeded'],
    ['endToEnd', 'm', 'high', 0.126, undefined],
  ]);
  const sumS = calls.reduce((sum, [name, , , s]) => (name === 'stage' ? sum + Number(s) : sum), 0);
  expect(sumS).toBeCloseTo(0.126);
});

test('what ended before it began, by two clocks, takes no time and is told', () => {
  const early = { ...inOrder, fetchedAtMs: 1_099 };
  expect(told(heldJob(early), 1_122)).toContainEqual(['clockClamped', 'fetch']);
  expect(told(heldJob(early), 1_122)).toContainEqual(['stage', 'm', 'fetch', 0, undefined]);
  const waited = { ...inOrder, slotAtMs: 1_099 };
  expect(told(heldJob(waited), 1_122)).toContainEqual(['clockClamped', 'fetch']);
  const calls = told(heldJob(inOrder), 1_120.5);
  expect(calls).toContainEqual(['clockClamped', 'publish']);
  expect(calls).toContainEqual(['stage', 'm', 'publish', 0, undefined]);
  expect(countOf(calls, 'clockClamped')).toBe(1);
});

test('late is what succeeds after its budget, not after an estimate', () => {
  expect(countOf(told(heldJob(inOrder, 1_122), 1_122), 'late')).toBe(0);
  expect(told(heldJob(inOrder, 1_121.5), 1_122)).toContainEqual(['late', 'm', 'high']);
  expect(countOf(told(heldJob(inOrder, null), 9_000), 'late')).toBe(0);
  const failed = { status: 'failed', error: { code: 'model_error', detail: '' } } as const;
  expect(countOf(told(heldJob(inOrder, 1_121.5), 1_122, failed), 'late')).toBe(0);
});

test('a job fails by its input or not by its input', () => {
  const outcomeFor = (code: ErrorCode): unknown => {
    const failed = { status: 'failed', error: { code, detail: '' } } as const;
    return told(heldJob(inOrder), 1_122, failed)[0]?.[3];
  };
  expect(outcomeFor('input_rejected')).toBe('invalid');
  expect(outcomeFor('model_error')).toBe('failed');
  expect(outcomeFor('internal')).toBe('failed');
});
