import { expect, test } from 'vitest';
import { closeAll } from './close-all.ts';
import { VirtualClock } from './virtual-clock.ts';
import { sleep } from './clock.ts';

test('steps close one after the other, in the given order', async () => {
  const clock = new VirtualClock();
  const log: string[] = [];
  const step = (name: string, ms: number) => ({
    name,
    close: async (): Promise<void> => {
      log.push(`${name} begins`);
      await sleep(clock, ms);
      log.push(`${name} ends`);
    },
  });
  const closing = closeAll([step('server', 20), step('queue', 5)], () => undefined);
  await clock.advance(30);
  await closing;
  expect(log).toEqual(['server begins', 'server ends', 'queue begins', 'queue ends']);
});

test('every step runs, failures are reported by name and thrown together', async () => {
  const closed: string[] = [];
  const reported: unknown[] = [];
  const late = new Error('late');
  const atOnce = new Error('at once');
  const closing = closeAll(
    [
      { name: 'a', close: () => Promise.reject(late) },
      { name: 'b', close: () => void closed.push('b') },
      {
        name: 'c',
        close: () => {
          throw atOnce;
        },
      },
      { name: 'd', close: () => void closed.push('d') },
    ],
    (name, cause) => reported.push([name, cause]),
  );
  const thrown = await closing.catch((cause: unknown) => cause);
  expect(closed).toEqual(['b', 'd']);
  expect(reported).toEqual([
    ['a', late],
    ['c', atOnce],
  ]);
  expect(thrown).toBeInstanceOf(AggregateError);
  expect((thrown as AggregateError).errors).toEqual([late, atOnce]);
});

test('nothing to close is closed', async () => {
  await expect(closeAll([], () => undefined)).resolves.toBeUndefined();
});
