/** How long a device rested before a run. */
import { VirtualClock } from '@inferry/runtime';
import { expect, test } from 'vitest';
import { IdleTime } from './idle-time.ts';

test('all runs that start before one has ended found the device as cold as the first', async () => {
  const clock = new VirtualClock();
  const idle = new IdleTime(clock);
  await clock.advance(6_000);
  expect(idle.runStarts()).toBe(6_000);
  await clock.advance(10);
  expect(idle.runStarts()).toBe(6_000);
  idle.runEnds();
  expect(idle.runStarts()).toBe(0);
  idle.runEnds();
  idle.runEnds();
  await clock.advance(7);
  expect(idle.runStarts()).toBe(7);
});
