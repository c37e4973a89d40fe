/** Calls to a queue that may be away for a while. */
import { type Clock, sleep } from '@inferry/runtime';

const firstDelayMs = 250;
const lastDelayMs = 2_000;

/** The pause after the `failures`-th failure in a row (from 1): doubling, bounded. */
function retryDelayMs(failures: number): number {
  return Math.min(lastDelayMs, firstDelayMs * 2 ** (failures - 1));
}

/**
 * Calls `attempt` until it does not throw; pauses in between. Gives up when `signal` aborts: resolves
 * with true when it succeeded, else false. `onFailure` hears of each failure.
 */
export async function untilDone(
  clock: Clock,
  signal: AbortSignal,
  attempt: () => Promise<void>,
  onFailure: (cause: unknown, failures: number) => void,
): Promise<boolean> {
  for (let failures = 1; ; failures += 1) {
    try {
      await attempt();
      return true;
    } catch (cause) {
      onFailure(cause, failures);
    }
    if (signal.aborted) return false;
    await sleep(clock, retryDelayMs(failures), signal);
    if (signal.aborted) return false;
  }
}
