import { expect, test } from 'vitest';
import { setupsFor } from './setups.ts';

const now = { threads: 1, instances: 1 };

test('two cores: one or two instances, or two threads', () => {
  expect(setupsFor('cpu', 2, now)).toEqual([
    { threads: 1, instances: 1 },
    { threads: 1, instances: 2 },
    { threads: 2, instances: 1 },
  ]);
});

test.each([1, 2, 3, 6, 8, 16, 96])('%d cores are never oversubscribed, and used up', (cores) => {
  const setups = setupsFor('cpu', cores, now);
  const threads = setups.map(({ instances, threads }) => instances * threads);
  expect(Math.max(...threads)).toBe(cores);
  expect(setups.length).toBeLessThanOrEqual(16);
  expect(new Set(setups.map((setup) => JSON.stringify(setup))).size).toBe(setups.length);
  expect(setups).toContainEqual({ threads: 1, instances: cores });
  expect(setups).toContainEqual({ threads: cores, instances: 1 });
});

test('what the model has now is measured first, and once', () => {
  const odd = { threads: 0, instances: 3 };
  expect(setupsFor('cpu', 4, odd)[0]).toEqual(odd);
  expect(setupsFor('cpu', 4, now).filter(({ instances }) => instances === 1)).toHaveLength(3);
});

test('on a GPU the number of sessions is looked for, and threads stay', () => {
  expect(setupsFor('cuda', 64, { threads: 2, instances: 1 })).toEqual([
    { threads: 2, instances: 1 },
    { threads: 2, instances: 2 },
    { threads: 2, instances: 4 },
  ]);
});
