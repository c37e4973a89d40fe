/** Shutdown steps must not wait for a queue that is away. */
import { type Clock, sleep } from '@inferry/runtime';

/** The queue gets this long for each step of a shutdown. */
export const farewellMs = 1_000;

/** True when `work` was done within `ms`; false when it was not, or failed. */
export async function within(clock: Clock, ms: number, work: Promise<unknown>): Promise<boolean> {
  const isOver = new AbortController();
  const done = work.then(
    () => true,
    () => false,
  );
  const late = sleep(clock, ms, isOver.signal).then(() => false);
  const isDone = await Promise.race([done, late]);
  isOver.abort();
  return isDone;
}
