import { expect, test } from 'vitest';

import { Turns } from './turns.ts';

test('work is done a few at a time, in order, and what is too much is not done', async () => {
  const turns = new Turns(2);
  const begun: number[] = [];
  const ends: (() => void)[] = [];
  const work = (i: number) => async (): Promise<number> => {
    begun.push(i);
    await new Promise<void>((resolve) => ends.push(resolve));
    return i;
  };
  const done = [0, 1, 2, 3, 4, 5].map((i) => turns.take(3, work(i)));
  expect(await done[5]).toBeUndefined();
  expect(begun).toEqual([0, 1]);
  for (let i = 0; i < 5; i += 1) {
    await expect.poll(() => ends.length).toBeGreaterThan(i);
    ends[i]?.();
    expect(await done[i]).toBe(i);
  }
  expect(begun).toEqual([0, 1, 2, 3, 4]);
});

test('work that fails gives its turn on', async () => {
  const turns = new Turns(1);
  const failed = turns.take(1, () => Promise.reject(new Error('no')));
  const next = turns.take(1, () => Promise.resolve('next'));
  await expect(failed).rejects.toThrow('no');
  expect(await next).toBe('next');
  expect(await turns.take(1, () => Promise.resolve('free'))).toBe('free');
});
