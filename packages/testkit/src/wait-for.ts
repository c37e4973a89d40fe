/**
 * Bounded polling, for conditions outside this process that announce themselves to nobody. This is
 * the only place where tests poll; inside the process they wait for an event or move the clock.
 */
import { sleep, systemClock } from '@inferry/runtime';

export interface WaitForOptions {
  readonly timeoutMs?: number;
  readonly everyMs?: number;
  /** What is waited for; stands in the error. */
  readonly what?: string;
}

type Found<T> = Exclude<T, undefined | null | false | 0 | ''>;

/**
 * Calls `condition` until it returns something truthy and resolves with that. Rejects after
 * `timeoutMs` (10 s by default), naming `what` and the last error `condition` threw, if any.
 */
export async function waitFor<T>(
  condition: () => T | Promise<T>,
  options: WaitForOptions = {},
): Promise<Found<T>> {
  const { timeoutMs = 10_000, everyMs = 25, what = 'the condition' } = options;
  const untilMs = performance.now() + timeoutMs;
  let cause: unknown;
  for (;;) {
    try {
      const value = await condition();
      if (isFound(value)) return value;
      cause = undefined;
    } catch (error) {
      cause = error;
    }
    if (performance.now() >= untilMs) {
      throw new Error(`${what} did not come true within ${timeoutMs} ms`, { cause });
    }
    await sleep(systemClock, everyMs);
  }
}

function isFound<T>(value: T): value is Found<T> {
  return Boolean(value);
}
