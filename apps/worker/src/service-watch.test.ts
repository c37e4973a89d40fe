/** What is told of promises, and how they change the next ones. */
import type { Claim } from '@inferry/queue';
import { describe, expect, test } from 'vitest';
import { ServiceWatch } from './service-watch.ts';

describe('promises', () => {
  const claim: Claim = {
    ...({} as Claim),
    attempt: 1,
    enqueuedAtMs: 1_000,
    claimedAtMs: 1_050,
    promise: { readyAtMs: 1_200, startByMs: 1_100, dueAtMs: 1_250 },
  };

  function watched() {
    const told: [string, ...(number | boolean)[]][] = [];
    const linger = { mode: 'none', maxMs: 20 } as const;
    const watch = new ServiceWatch(
      { name: 'echo', linger },
      {
        promiseEnded: (_, seconds, isMissed) => void told.push(['ended', seconds, isMissed]),
        waitBound: (_, ratio) => void told.push(['bound', ratio]),
      },
      () => undefined,
    );
    return { told, watch };
  }

  test('that were missed make the next ones more careful, for a while', () => {
    const { told, watch } = watched();
    watch.settled(claim, 1_300);
    watch.tick(false);
    expect(watch.safety).toBeCloseTo(1.1);
    watch.settled(claim, 1_150);
    watch.tick(false);
    expect(watch.safety).toBeLessThan(1.1);
    expect(told).toEqual([
      ['ended', 0.1, true],
      ['ended', -0.05, false],
    ]);
  });

  test('that were a little late, but within the budget, are no reason for care', () => {
    const { told, watch } = watched();
    watch.settled(claim, 1_240);
    watch.tick(false);
    expect(watch.safety).toBe(1);
    expect(told).toEqual([['ended', 0.04, false]]);
  });

  test('without a budget are missed when the estimate is', () => {
    const { told, watch } = watched();
    const promise = { readyAtMs: 1_200, startByMs: 1_100, dueAtMs: null };
    watch.settled({ ...claim, promise }, 1_240);
    watch.tick(false);
    expect(watch.safety).toBe(1);
    expect(told).toEqual([['ended', 0.04, true]]);
  });

  test('are compared with the wait of jobs that no worker was lost under', () => {
    const { told, watch } = watched();
    watch.claimed(claim);
    watch.claimed({ ...claim, attempt: 2 });
    watch.claimed({ ...claim, promise: null });
    watch.settled({ ...claim, promise: null }, 2_000);
    expect(told).toEqual([['bound', 0.5]]);
  });

  test('rest on what batches cost beside their runs, outages left out', () => {
    const { watch } = watched();
    expect(watch.overheadMs).toBe(2);
    for (let i = 0; i < 200; i += 1) {
      watch.started(30);
      watch.stored(5);
    }
    watch.started(60_000);
    watch.stored(60_000);
    expect(watch.overheadMs).toBeCloseTo(35);
  });
});
