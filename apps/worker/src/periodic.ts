/** Housekeeping that goes on while the worker lives: leases, announcements, sweeps. */
import { type Clock, sleep } from '@inferry/runtime';
import type { Logger } from '@inferry/telemetry';

export interface PeriodicOptions {
  readonly name: string;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Pause before the next run. */
  readonly delayMs: () => number;
  readonly task: () => Promise<void>;
}

/**
 * Runs `task` again and again, never two at a time, until the returned function is called; that resolves
 * once the last run has ended. A failing run is followed by the next one; only the first failure in a
 * row and the recovery are logged, as an outage would repeat it for minutes.
 */
export function startPeriodic(options: PeriodicOptions): () => Promise<void> {
  const { clock, logger, name } = options;
  const stop = new AbortController();
  let isFailing = false;
  const run = async (): Promise<void> => {
    await sleep(clock, options.delayMs(), stop.signal);
    while (!stop.signal.aborted) {
      try {
        await options.task();
        if (isFailing) logger.info({ task: name }, 'works again');
        isFailing = false;
      } catch (cause) {
        if (!isFailing) logger.warn({ task: name, err: cause }, 'failed; trying again');
        isFailing = true;
      }
      await sleep(clock, options.delayMs(), stop.signal);
    }
  };
  const done = run();
  return () => {
    stop.abort();
    return done;
  };
}
