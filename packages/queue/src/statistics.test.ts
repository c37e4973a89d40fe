/** What a process counts before it adds it. */
import { classOf } from '@inferry/contracts';
import { expect, test } from 'vitest';
import {
  addUp,
  type ClassStatistics,
  noStatistics,
  runsByRows,
  type StatisticsStore,
  StatisticsTally,
} from './statistics.ts';

const cls = classOf('iris', '1');

function aStore(): StatisticsStore & { isAway: boolean; kept: ClassStatistics; calls: number } {
  return {
    isAway: false,
    kept: noStatistics,
    calls: 0,
    async addStatistics(_cls, more) {
      this.calls += 1;
      if (this.isAway) throw new Error('away');
      this.kept = addUp(this.kept, more);
    },
    async statistics() {
      return [this.kept];
    },
  };
}

test('what is counted is added once, however often that is asked for', async () => {
  const store = aStore();
  const tally = new StatisticsTally(store);
  tally.count(cls, { succeeded: 1, wholeUs: 10.4 }, 7.5);
  tally.count(cls, { succeeded: 1, wholeUs: 0.2 }, 5);
  await Promise.all([tally.flush(), tally.flush()]);
  await tally.flush();
  expect(store.kept).toEqual({ counters: { succeeded: 2, wholeUs: 11 }, lastAtMs: 8 });
  expect(store.calls).toBe(1);
});

test('what could not be added is added with what came later', async () => {
  const store = aStore();
  const tally = new StatisticsTally(store);
  store.isAway = true;
  tally.lost(cls, 'rejected', 2, 30);
  await expect(tally.flush()).rejects.toThrow('away');
  store.isAway = false;
  tally.lost(cls, 'rejected', 1);
  await tally.flush();
  expect(store.kept.counters).toEqual({ rejectedJobs: 3, rejectedUs: 30 });
});

test('runs are told by their rows, in order', () => {
  const counters = { runs: 3, '10:runs': 1, '10:inferUs': 5, '2:runs': 2, '2:outputUs': 1 };
  const none = { inputUs: 0, inferUs: 0, outputUs: 0 };
  expect(runsByRows(counters)).toEqual([
    { ...none, rows: 2, runs: 2, outputUs: 1 },
    { ...none, rows: 10, runs: 1, inferUs: 5 },
  ]);
});
