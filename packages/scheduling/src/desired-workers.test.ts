import { describe, expect, test } from 'vitest';
import { desiredWorkers } from './desired-workers.ts';

const policy = { min: 0, max: 100 };

describe('desiredWorkers', () => {
  test.each([
    // Nothing to do; then the backlog alone, at 30 s each; then the load alone, at 0.7 each; then both.
    [0, 0, 0],
    [0.001, 0, 1],
    [30, 0, 1],
    [30.1, 0, 2],
    [300, 0, 10],
    [0, 0.001, 1],
    [0, 0.7, 1],
    [0, 0.71, 2],
    [0, 7, 10],
    [60, 7, 10],
    [600, 7, 20],
  ])('a backlog of %f s and a load of %f want %i', (backlogSeconds, loadWorkers, wanted) => {
    expect(desiredWorkers({ backlogSeconds, loadWorkers }, policy)).toBe(wanted);
  });

  test('the policy says in which time, how busy, how few and how many', () => {
    const demand = { backlogSeconds: 100, loadWorkers: 2 };
    expect(desiredWorkers(demand, { ...policy, drainTargetSeconds: 10 })).toBe(10);
    expect(desiredWorkers(demand, { ...policy, utilization: 0.1 })).toBe(20);
    expect(desiredWorkers(demand, { min: 0, max: 3 })).toBe(3);
    expect(desiredWorkers(demand, { min: 7, max: 9 })).toBe(7);
    expect(desiredWorkers(demand, { min: 0, max: 0 })).toBe(0);
  });

  test.each([
    [{ backlogSeconds: Number.NaN, loadWorkers: 0 }, policy, 'backlogSeconds'],
    [{ backlogSeconds: -1, loadWorkers: 0 }, policy, 'backlogSeconds'],
    [{ backlogSeconds: 0, loadWorkers: Number.NaN }, policy, 'loadWorkers'],
    [{ backlogSeconds: 0, loadWorkers: 0 }, { ...policy, drainTargetSeconds: 0 }, 'drainTarget'],
    [{ backlogSeconds: 0, loadWorkers: 0 }, { ...policy, utilization: 0 }, 'utilization'],
    [{ backlogSeconds: 0, loadWorkers: 0 }, { ...policy, utilization: 1.01 }, 'utilization'],
    [{ backlogSeconds: 0, loadWorkers: 0 }, { min: 0.5, max: 1 }, 'min'],
    [{ backlogSeconds: 0, loadWorkers: 0 }, { min: 2, max: 1 }, 'max'],
  ])('%j under %j is refused', (demand, asked, field) => {
    expect(() => desiredWorkers(demand, asked)).toThrow(field);
  });
});
