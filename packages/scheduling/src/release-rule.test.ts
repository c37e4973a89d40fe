/** The release rule by example. */
import { describe, expect, test } from 'vitest';
import {
  decideRelease,
  mayLinger,
  type ReleaseDecision,
  type ReleasePolicy,
  type WaitingView,
} from './release-rule.ts';

/** Runs of 5 ms and 0.2 ms a row: the fixed time dominates, so company is worth a little waiting. */
const small: ReleasePolicy = {
  rowsMax: 32,
  linger: { mode: 'auto', maxMs: 20 },
  latencyTargetMs: null,
  meanRunMs: (rows) => 5 + 0.2 * rows,
  tailRunMs: (rows) => 6 + 0.2 * rows,
};
const defer: ReleasePolicy = { ...small, linger: { mode: 'defer', maxMs: 20 } };

/** Three rows wait since 100 and 102; at 2 rows a millisecond more are on their way. */
const view: WaitingView = {
  rowsWaiting: 3,
  oldestAtMs: 100,
  lastArrivalAtMs: 102,
  rowEveryMs: 0.5,
  othersFreeInMs: null,
};
const slot = { do: 'release', reason: 'slot' };

function decided(more: Partial<WaitingView>, policy = small, nowMs = 102): ReleaseDecision {
  return decideRelease({ ...view, ...more }, policy, nowMs);
}

describe('decideRelease', () => {
  test('an empty queue waits for work without an end', () => {
    const wait = { do: 'wait', untilMs: Infinity };
    expect(decided({ rowsWaiting: 0, oldestAtMs: null })).toEqual(wait);
  });

  test.each(['none', 'auto', 'defer'] as const)('a full batch departs at once: %s', (mode) => {
    const policy = { ...small, linger: { mode, maxMs: 20 } };
    expect(decided({ rowsWaiting: 32 }, policy)).toEqual({ do: 'release', reason: 'full' });
  });

  test('without linger whatever waits departs as soon as the slot is free', () => {
    expect(decided({}, { ...small, linger: { mode: 'none', maxMs: 20 } })).toEqual(slot);
    expect(decided({}, { ...small, linger: { mode: 'defer', maxMs: 0 } })).toEqual(slot);
  });
});

describe('decideRelease, auto', () => {
  test('where the fixed time of a run dominates, a row that is due is waited for', () => {
    expect(decided({})).toEqual({ do: 'wait', untilMs: 102 + 3 * 0.5 });
  });

  test('when three times as long as usual nobody came, nobody is waited for', () => {
    expect(decided({}, small, 103.4).do).toBe('wait');
    expect(decided({}, small, 103.5)).toEqual(slot);
  });

  test('the more wait, the more they lose: with one server up to n(i + 2a) + i < s(n)', () => {
    // 9 rows lose 9 * 0.7 ms and the tenth gains 6.8 - 0.5 - 1.8 ms; 4 lose 2.8 and the fifth gains 4.5.
    expect(decided({ rowsWaiting: 4 }).do).toBe('wait');
    expect(decided({ rowsWaiting: 9 })).toEqual(slot);
  });

  test('while another server is free, or soon will be, the next row goes there', () => {
    expect(decided({ othersFreeInMs: 0 })).toEqual(slot);
    expect(decided({ othersFreeInMs: 3 })).toEqual(slot);
    expect(decided({ othersFreeInMs: 4 }).do).toBe('wait');
    expect(decided({ othersFreeInMs: 1_000 }).do).toBe('wait');
  });

  test('nobody is waited for while it is not known who comes, or what a run takes', () => {
    expect(decided({ rowEveryMs: null })).toEqual(slot);
    expect(decided({ lastArrivalAtMs: null })).toEqual(slot);
    expect(decided({}, { ...small, meanRunMs: () => undefined })).toEqual(slot);
  });

  test('the oldest has lingered long enough, though more are on their way', () => {
    expect(decided({ oldestAtMs: 83 })).toEqual({ do: 'wait', untilMs: 103 });
    expect(decided({ oldestAtMs: 82 })).toEqual({ do: 'release', reason: 'linger' });
  });

  test('a large model never waits at rates at which it can serve', () => {
    const yolov4 = { ...small, rowsMax: 8, meanRunMs: (rows: number) => 31.43 + 28.57 * rows };
    for (let rowsWaiting = 1; rowsWaiting < 8; rowsWaiting += 1) {
      for (const rowEveryMs of [1.5, 5, 32, 500]) {
        expect(decided({ rowsWaiting, rowEveryMs }, yolov4)).toEqual(slot);
      }
    }
    expect(decided({ rowsWaiting: 1, rowEveryMs: 1.4 }, yolov4).do).toBe('wait');
  });
});

describe('decideRelease, defer', () => {
  test('a batch that is not full waits until the oldest has lingered long enough, whoever comes', () => {
    const nobody = { rowEveryMs: null, lastArrivalAtMs: null, othersFreeInMs: 0 };
    expect(decided(nobody, defer, 110)).toEqual({ do: 'wait', untilMs: 120 });
    expect(decided(nobody, defer, 120)).toEqual({ do: 'release', reason: 'linger' });
  });

  test('the latency target ends the wait early, by the tail of a run with one more row', () => {
    const target = { ...defer, latencyTargetMs: 16.8 };
    expect(decided({}, target, 105)).toEqual({ do: 'wait', untilMs: 110 });
    expect(decided({}, target, 110)).toEqual({ do: 'release', reason: 'deadline' });
  });

  test('the latency target holds before any run was measured', () => {
    const target = { ...defer, latencyTargetMs: 5, tailRunMs: () => undefined };
    expect(decided({}, target, 101)).toEqual({ do: 'wait', untilMs: 105 });
  });
});

describe('mayLinger', () => {
  test('not without linger, nor with batches of one', () => {
    expect(mayLinger({ ...small, linger: { mode: 'none', maxMs: 20 } }, 0.5)).toBe(false);
    expect(mayLinger({ ...small, linger: { mode: 'auto', maxMs: 0 } }, 0.5)).toBe(false);
    expect(mayLinger({ ...defer, rowsMax: 1 }, 0.5)).toBe(false);
  });

  test('always when batches are deferred', () => {
    expect(mayLinger(defer, null)).toBe(true);
  });

  test('auto: only while rows come fast enough, here every 2.4 ms', () => {
    expect(mayLinger(small, 2.39)).toBe(true);
    expect(mayLinger(small, 2.41)).toBe(false);
    expect(mayLinger(small, null)).toBe(false);
    expect(mayLinger({ ...small, meanRunMs: () => undefined }, 0.5)).toBe(false);
  });
});
