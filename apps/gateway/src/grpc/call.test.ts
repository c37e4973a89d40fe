/** What the end of a call means for the jobs behind it. */
import { EventEmitter } from 'node:events';

import { VirtualClock } from '@inferry/runtime';
import { expect, test } from 'vitest';

import { goneSignal } from './call.ts';

test.each([
  ['long before its deadline', 5_000, 4_000, true],
  ['by its own clock, just before its deadline', 5_000, 4_950, false],
  ['after its deadline', 5_000, 5_010, false],
  ['and had no deadline', Infinity, 4_000, true],
])('a caller that ends its call %s', async (_, deadlineMs, canceledMs, isGone) => {
  const clock = new VirtualClock();
  const events = new EventEmitter();
  const call = {
    cancelled: false,
    getDeadline: () => clock.nowMs() + deadlineMs,
    on: (event: string, listener: () => void) => events.on(event, listener),
  };
  const signal = goneSignal(call, { clock });
  await clock.advance(canceledMs);
  events.emit('cancelled');
  expect(signal.aborted).toBe(isGone);
});
