/** The two kinds of load. Both begin requests until they are stopped, and are idle when the last has ended. */
import type { Clock, Random } from '@inferry/runtime';

export interface Load {
  /** Begins nothing more. */
  stop(): void;
  /** Resolves when it was stopped and everything that was begun has ended. */
  readonly idle: Promise<void>;
}

/** Sends one request that is due at `dueAtMs`; resolves when it has ended, and never rejects. */
export type Send = (dueAtMs: number) => Promise<void>;

/** Keeps `concurrency` requests open: each is due when one before it has ended. */
export function closedLoop(
  concurrency: number,
  { clock, send }: { readonly clock: Clock; readonly send: Send },
): Load {
  const stopped = new AbortController();
  const lane = async (): Promise<void> => {
    while (!stopped.signal.aborted) await send(clock.nowMs());
  };
  const lanes = Array.from({ length: concurrency }, lane);
  return {
    stop: () => stopped.abort(),
    idle: Promise.all(lanes).then(() => undefined),
  };
}

export interface OpenLoopOptions {
  readonly perSecond: number;
  readonly arrivals: 'poisson' | 'constant';
  readonly inFlightMax: number;
  readonly clock: Clock;
  readonly random: Random;
  readonly send: Send;
  /** A request was due while as many as are allowed were open: it is not sent. */
  readonly onNotSent: (dueAtMs: number) => void;
}

/**
 * Begins `perSecond` requests a second on average, whether or not answers come. The instants are fixed by
 * the rate alone: where this process or the server falls behind, requests are late and not fewer.
 */
export function openLoop(options: OpenLoopOptions): Load {
  const { arrivals, clock, inFlightMax, onNotSent, perSecond, random, send } = options;
  let becomeIdle = (): void => undefined;
  const idle = new Promise<void>((resolve) => {
    becomeIdle = resolve;
  });
  const meanGapMs = 1_000 / perSecond;
  // Gaps of a Poisson process are exponential: the inverse of their distribution, at a uniform number.
  const gapMs = (): number =>
    arrivals === 'constant' ? meanGapMs : -Math.log(1 - random.unit()) * meanGapMs;
  let isStopped = false;
  let inFlight = 0;
  let dueAtMs = clock.nowMs() + gapMs();
  let cancel = (): void => undefined;
  const settle = (): void => {
    if (isStopped && inFlight === 0) becomeIdle();
  };
  const fire = (): void => {
    const nowMs = clock.nowMs();
    for (; dueAtMs <= nowMs; dueAtMs += gapMs()) {
      if (inFlight >= inFlightMax) {
        onNotSent(dueAtMs);
        continue;
      }
      inFlight += 1;
      void send(dueAtMs).finally(() => {
        inFlight -= 1;
        settle();
      });
    }
    if (!isStopped) cancel = clock.after(dueAtMs - nowMs, fire);
  };
  cancel = clock.after(dueAtMs - clock.nowMs(), fire);
  return {
    stop: () => {
      isStopped = true;
      cancel();
      settle();
    },
    idle,
  };
}
