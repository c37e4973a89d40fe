/** Which items share a run. */
import type { JobEnvelope, Tensor } from '@inferry/contracts';
import { describe, expect, test } from 'vitest';
import { groupForRuns } from './groups.ts';
import { HeldJob } from './held-job.ts';
import { ReadyItem } from './ready-item.ts';

function item(shape: readonly number[], name = 'x'): ReadyItem {
  const tensor: Tensor = { name, datatype: 'FP32', shape, bytes: new Uint8Array() };
  const job = new HeldJob({
    job: {} as JobEnvelope,
    fence: 'f',
    attempt: 1,
    isSuspect: false,
    seq: 1,
    enqueuedAtMs: 0,
    claimedAtMs: 0,
    deadlineAtMs: 0,
    overtakenBy: 0,
    promise: null,
    payload: null,
  });
  const request = { form: 'tensors', tensors: [] } as const;
  return new ReadyItem(job, {
    kind: 'ready',
    rows: shape[0] ?? 1,
    shape: JSON.stringify([name, shape.slice(1)]),
    run: { tensors: [tensor], rows: shape[0] ?? 1 },
    outputs: [],
    placements: [],
    elements: { useful: 1, padding: 0 },
    request,
  });
}

describe('groupForRuns', () => {
  test('items of one shape run together whatever their rows, up to the limit', () => {
    const [a, b, c] = [item([2, 3]), item([1, 3]), item([2, 3])];
    expect(groupForRuns([a, b, c], 4)).toEqual([[a, b], [c]]);
  });

  test('items of different shapes or names run apart, in order of arrival', () => {
    const [a, b, c, d] = [item([1, 3]), item([1, 5]), item([1, 3]), item([1, 3], 'z')];
    expect(groupForRuns([a, b, c, d], 8)).toEqual([[a, c], [b], [d]]);
  });

  test('without a batch dimension every item runs alone', () => {
    const [a, b] = [item([3]), item([3])];
    expect(groupForRuns([a, b], 0)).toEqual([[a], [b]]);
  });
});
