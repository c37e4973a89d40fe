import { expect, test } from 'vitest';
import { sleep } from './clock.ts';
import { VirtualClock } from './virtual-clock.ts';

test('time stands still until it is advanced', async () => {
  const clock = new VirtualClock(1_000);
  expect(clock.nowMs()).toBe(1_000);
  await clock.advance(250.5);
  expect(clock.nowMs()).toBe(1_250.5);
});

test('timers fire in the order of their instants, and equal instants in the order they were set', async () => {
  const clock = new VirtualClock(0);
  const fired: string[] = [];
  for (const [name, atMs] of [
    ['c', 20],
    ['a', 10],
    ['d', 20],
    ['b', 10],
    ['e', 20],
  ] as const) {
    clock.after(atMs, () => fired.push(name));
  }
  await clock.advance(20);
  expect(fired).toEqual(['a', 'b', 'c', 'd', 'e']);
});

test('each timer sees its own instant, and the end is exact', async () => {
  const clock = new VirtualClock(0);
  const seen: number[] = [];
  for (const delayMs of [30, 10, 20]) clock.after(delayMs, () => seen.push(clock.nowMs()));
  await clock.advance(25);
  expect(seen).toEqual([10, 20]);
  expect(clock.nowMs()).toBe(25);
  expect(clock.pendingTimers).toBe(1);
  await clock.advance(5);
  expect(seen).toEqual([10, 20, 30]);
});

test('a timer set while another fires still fires within the same advance when it is due', async () => {
  const clock = new VirtualClock(0);
  const seen: number[] = [];
  const again = (): void => {
    seen.push(clock.nowMs());
    clock.after(7, again);
  };
  clock.after(7, again);
  clock.after(7, () => clock.after(0, () => seen.push(-clock.nowMs())));
  await clock.advance(28);
  expect(seen).toEqual([7, -7, 14, 21, 28]);
});

test('what waits for a timer runs before the next timer fires', async () => {
  const clock = new VirtualClock(0);
  const seen: string[] = [];
  const chain = async (): Promise<void> => {
    await sleep(clock, 10);
    seen.push('woken');
    await Promise.resolve();
    seen.push('later');
  };
  const chained = chain();
  clock.after(10, () => seen.push('next timer'));
  await clock.advance(10);
  await chained;
  expect(seen).toEqual(['woken', 'later', 'next timer']);
});

test('a timer canceled by an earlier one of the same instant does not fire', async () => {
  const clock = new VirtualClock(0);
  let hasFired = false;
  let cancel = (): void => undefined;
  clock.after(10, () => cancel());
  cancel = clock.after(10, () => (hasFired = true));
  await clock.advance(10);
  expect(hasFired).toBe(false);
  cancel();
  expect(clock.pendingTimers).toBe(0);
});

test('one advance carries time past a thousand timers', async () => {
  const clock = new VirtualClock(0);
  const seen: number[] = [];
  for (let i = 0; i < 1_000; i += 1) {
    clock.after((i * 7_919) % 1_000, () => seen.push(clock.nowMs()));
  }
  await clock.advance(1_000_000);
  expect(seen).toEqual(Array.from({ length: 1_000 }, (_, i) => i));
  expect(clock.pendingTimers).toBe(0);
});
