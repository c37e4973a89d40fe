import type { ClassId } from '@inferry/contracts';
import { expect, test } from 'vitest';
import { DemandMeter, type Reading } from './demand-meter.ts';

const iris = 'iris@1' as ClassId;
const idle = { class: iris, waiting: 0, active: 0, waitingRows: 0, arrivedRows: 0, rowWorkMs: 20 };

function at(second: number, queue: Partial<Reading['queues'][number]> = {}): Reading {
  return { atMs: second * 1_000, queues: [{ ...idle, ...queue }] };
}

test('the backlog is what waits, in the time of one worker, from the first reading on', () => {
  const { queues } = new DemandMeter(10_000).measure(at(0, { waiting: 100, waitingRows: 1_200 }));
  expect(queues).toEqual([{ queue: 'iris@1', backlogSeconds: 24, loadWorkers: 0 }]);
});

test('the load is what arrived in the window, and before it is full in what there is of it', () => {
  const meter = new DemandMeter(20_000);
  const load = (second: number, arrivedRows: number): number | undefined =>
    meter.measure(at(second, { arrivedRows })).queues[0]?.loadWorkers;
  expect(load(0, 5_000)).toBe(0);
  expect(load(10, 5_600)).toBeCloseTo(1.2, 9);
  expect(load(12, 5_600)).toBeCloseTo(1, 9);
  expect(load(20, 5_600)).toBeCloseTo(0.6, 9);
  // The reading at 10 s is a window old.
  expect(load(30, 5_600)).toBe(0);
});

test('what a queue had seen before it was looked at is no load; what comes then is', () => {
  const meter = new DemandMeter(10_000);
  const other = { ...idle, class: 'iris@2' as ClassId };
  meter.measure(at(0));
  const load = (second: number, arrivedRows: number) => {
    const queues = [{ ...idle }, { ...other, arrivedRows }];
    const measured = meter.measure({ atMs: second * 1_000, queues });
    return [measured.isActive, measured.queues[1]?.loadWorkers];
  };
  expect(load(2, 9_000)).toEqual([false, 0]);
  expect(load(10, 9_100)).toEqual([true, 0.2]);
});

test('a burst in the first seconds is not taken for a load that stays', () => {
  const meter = new DemandMeter(60_000);
  meter.measure(at(0));
  const { queues } = meter.measure(at(1, { arrivedRows: 200 }));
  expect(queues[0]?.loadWorkers).toBeCloseTo(0.4, 9);
});

test('a window of a second is one', () => {
  const meter = new DemandMeter(1_000);
  meter.measure(at(0));
  const { queues } = meter.measure(at(1, { arrivedRows: 200 }));
  expect(queues[0]?.loadWorkers).toBeCloseTo(4, 9);
});

test('readings that come rarely are compared with the last before the window', () => {
  const meter = new DemandMeter(10_000);
  meter.measure(at(0));
  meter.measure(at(60, { arrivedRows: 600 }));
  const { queues } = meter.measure(at(90, { arrivedRows: 1_200 }));
  expect(queues[0]?.loadWorkers).toBeCloseTo(0.4, 9);
});

test('a counter that began anew counts from 0', () => {
  const meter = new DemandMeter(10_000);
  meter.measure(at(0, { arrivedRows: 5_000 }));
  const { isActive, queues } = meter.measure(at(10, { arrivedRows: 100 }));
  expect(queues[0]?.loadWorkers).toBeCloseTo(0.2, 9);
  expect(isActive).toBe(true);
});

test('a counter that lost its last second does not look like a flood', () => {
  const meter = new DemandMeter(10_000);
  meter.measure(at(0, { arrivedRows: 5_000 }));
  const { queues } = meter.measure(at(10, { arrivedRows: 4_990 }));
  expect(queues[0]?.loadWorkers).toBeCloseTo(0.02, 9);
});

test('before any worker told, a row counts as a tenth of a second', () => {
  const { queues } = new DemandMeter(10_000).measure(at(0, { waitingRows: 7, rowWorkMs: null }));
  expect(queues[0]?.backlogSeconds).toBeCloseTo(0.7, 9);
});

test.each<[string, Partial<Reading['queues'][number]>, boolean]>([
  ['nothing', {}, false],
  ['a job that waits', { waiting: 1, waitingRows: 1 }, true],
  ['a job that runs', { active: 1 }, true],
  ['a job that came and went', { arrivedRows: 1 }, true],
])('%s: is it active?', (_, queue, isActive) => {
  const meter = new DemandMeter(10_000);
  meter.measure(at(0));
  expect(meter.measure(at(1, queue)).isActive).toBe(isActive);
  // What ran is over, and what arrived was told: only the window remembers it.
  const after = { arrivedRows: queue.arrivedRows ?? 0 };
  expect(meter.measure(at(2, after)).isActive).toBe(false);
});
