/**
 * Time, as something a test can replace. Nothing outside this package and the entry files reads
 * the wall clock or sets a timer directly.
 */
export interface Clock {
  /** Milliseconds since the Unix epoch, with a fraction, never going backwards in one process. */
  nowMs(): number;
  /** Calls `fire` once after `delayMs` (at least 0). The returned function cancels it. */
  after(delayMs: number, fire: () => void): () => void;
}

/** Longest delay setTimeout takes; a longer one would fire at once. */
const timerMsMax = 2 ** 31 - 1;

/** The real clock: monotonic within the process (performance.now on the epoch of process start). */
export const systemClock: Clock = {
  nowMs: () => performance.timeOrigin + performance.now(),
  after(delayMs, fire) {
    const timer = setTimeout(fire, Math.min(Math.max(0, delayMs), timerMsMax));
    return () => clearTimeout(timer);
  },
};

/** Resolves after `delayMs`, or early (and without an error) when `signal` aborts. */
export function sleep(clock: Clock, delayMs: number, signal?: AbortSignal): Promise<void> {
  if (signal?.aborted === true) return Promise.resolve();
  return new Promise((resolve) => {
    const stop = (): void => {
      cancel();
      signal?.removeEventListener('abort', stop);
      resolve();
    };
    const cancel = clock.after(delayMs, stop);
    signal?.addEventListener('abort', stop, { once: true });
  });
}

/** Calls `tick` every `periodMs` until the returned function is called; ticks never overlap. */
export function every(
  clock: Clock,
  periodMs: number,
  tick: () => Promise<void> | void,
): () => void {
  let isStopped = false;
  let cancel: () => void = () => undefined;
  const arm = (): void => {
    if (isStopped) return;
    cancel = clock.after(periodMs, () => {
      void Promise.resolve(tick()).finally(arm);
    });
  };
  arm();
  return () => {
    isStopped = true;
    cancel();
  };
}
