/** One wait for work on behalf of many lanes. */
import { setImmediate } from 'node:timers/promises';
import { type ClassId, classOf } from '@inferry/contracts';
import { VirtualClock } from '@inferry/runtime';
import { describe, expect, test } from 'vitest';
import { Wake } from './wake.ts';

const a = classOf('a', '1');
const b = classOf('b', '1');
const never = new AbortController().signal;

/** A queue that notes what is waited for, and has work when told so. */
function queueDouble() {
  const rounds: { readonly classes: readonly ClassId[]; readonly finish: () => void }[] = [];
  const awaitWork = (_: string, classes: readonly ClassId[], signal: AbortSignal): Promise<void> =>
    new Promise((resolve) => {
      rounds.push({ classes, finish: resolve });
      signal.addEventListener('abort', () => resolve(), { once: true });
    });
  return { rounds, awaitWork };
}

function wakeOn(queue: Pick<ReturnType<typeof queueDouble>, 'awaitWork'>) {
  return new Wake({ queue, workerId: 'w', clock: new VirtualClock() });
}

describe('Wake', () => {
  test('lanes that become idle together share one call, and all of them wake', async () => {
    const queue = queueDouble();
    const wake = wakeOn(queue);
    const both = Promise.all([wake.wait(a, never), wake.wait(b, never)]);
    await setImmediate();
    expect(queue.rounds.map((round) => round.classes)).toEqual([[a, b]]);
    queue.rounds[0]?.finish();
    await both;
  });

  test('a lane that becomes idle later joins by a new call, and wakes nobody', async () => {
    const queue = queueDouble();
    const wake = wakeOn(queue);
    let woken = 0;
    void wake.wait(a, never).then(() => (woken += 1));
    await setImmediate();
    void wake.wait(b, never).then(() => (woken += 1));
    await setImmediate();
    expect(queue.rounds.map((round) => round.classes)).toEqual([[a], [a, b]]);
    expect(woken).toBe(0);
    queue.rounds[1]?.finish();
    await setImmediate();
    expect(woken).toBe(2);
  });

  test('a lane that leaves is not waited for any more', async () => {
    const queue = queueDouble();
    const wake = wakeOn(queue);
    const stop = new AbortController();
    const leaving = wake.wait(a, stop.signal);
    void wake.wait(b, never);
    await setImmediate();
    stop.abort();
    await leaving;
    await setImmediate();
    expect(queue.rounds.at(-1)?.classes).toEqual([b]);
  });

  test('while the queue is away the wait is tried again, not in a tight loop', async () => {
    const clock = new VirtualClock();
    let calls = 0;
    const awaitWork = (): Promise<void> => {
      calls += 1;
      return calls === 1 ? Promise.reject(new Error('away')) : new Promise(() => undefined);
    };
    const wake = new Wake({ queue: { awaitWork }, workerId: 'w', clock });
    const woken = wake.wait(a, never);
    await setImmediate();
    expect(calls).toBe(1);
    await clock.advance(1_000);
    await woken;
  });
});
