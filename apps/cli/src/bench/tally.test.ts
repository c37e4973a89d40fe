import { expect, test } from 'vitest';
import { type Sample, Tally } from './tally.ts';

function sample(more: Partial<Sample> = {}): Sample {
  return {
    status: 200,
    code: null,
    isSuccess: true,
    stages: new Map(),
    batchRows: null,
    overtakenBy: null,
    latencyMs: 10,
    lateMs: 0,
    ...more,
  };
}

function tallyOf(samples: readonly Sample[]): Tally {
  const tally = new Tally();
  for (const one of samples) tally.add(one);
  return tally;
}

function shown(tally: Tally) {
  return {
    requests: tally.requests,
    errors: tally.errors,
    latency: tally.latency.summary(),
    lateness: tally.lateness.summary(),
    outcomes: [...tally.outcomes].map(([key, { requests, latency }]) => [
      key,
      requests,
      latency.summary(),
    ]),
    stages: [...tally.stages].map(([name, durations]) => [name, durations.summary()]),
    batchRows: tally.batchRows,
    overtakes: tally.overtakes,
  };
}

const samples = [
  sample({ stages: new Map([['compute', 2]]), batchRows: 4, overtakenBy: 0, latencyMs: 5 }),
  sample({ stages: new Map([['compute', 4]]), batchRows: 8, overtakenBy: 3, lateMs: 1 }),
  sample({ status: 503, code: 'queue_full', isSuccess: false, latencyMs: 1 }),
  sample({ status: null, code: 'not_sent', isSuccess: false, latencyMs: null, lateMs: null }),
];

test('latency is that of successes, outcomes are counted by status and code', () => {
  const tally = tallyOf(samples);
  expect([tally.requests, tally.succeeded, tally.errors]).toEqual([4, 2, 2]);
  expect(tally.latency.summary()).toMatchObject({ count: 2, min_ms: 5, max_ms: 10 });
  expect([...tally.outcomes.keys()]).toEqual(['200 null', '503 queue_full', 'null not_sent']);
  expect(tally.stages.get('compute')?.meanMs).toBe(3);
  expect(tally.batchRows).toEqual({ sum: 12, count: 2, max: 8 });
  expect(tally.overtakes).toBe(3);
});

test('windows put together are what one window would have been', () => {
  const together = new Tally();
  for (const one of samples) together.merge(tallyOf([one]));
  expect(shown(together)).toEqual(shown(tallyOf(samples)));
});

test('facts that no answer told are not known', () => {
  expect(tallyOf([sample()])).toMatchObject({ overtakes: null, batchRows: { count: 0 } });
});

test('codes and stages that a server makes up are bounded, and still counted', () => {
  const tally = tallyOf(
    Array.from({ length: 1_000 }, (_, i) =>
      sample({ code: `code ${i}`, isSuccess: false, stages: new Map([[`stage ${i}`, 1]]) }),
    ),
  );
  expect(tally.outcomes.size).toBe(33);
  expect(tally.outcomes.get('null others')?.requests).toBe(968);
  expect(tally.stages.size).toBe(33);
  expect(tally.stages.get('others')?.count).toBe(968);
});
