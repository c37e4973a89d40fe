import { describe, expect, test } from 'vitest';
import { every, sleep, systemClock } from './clock.ts';
import { VirtualClock } from './virtual-clock.ts';

describe('the system clock', () => {
  test('is near the wall clock and never goes backwards', () => {
    let last = systemClock.nowMs();
    expect(Math.abs(last - Date.now())).toBeLessThan(1_000);
    for (let i = 0; i < 1_000; i += 1) {
      const nowMs = systemClock.nowMs();
      expect(nowMs).toBeGreaterThanOrEqual(last);
      last = nowMs;
    }
  });

  test('fires once, a negative delay at once, and a canceled timer never', async () => {
    let fired = 0;
    const cancel = systemClock.after(1, () => (fired += 100));
    cancel();
    await new Promise<void>((resolve) => {
      systemClock.after(-5, () => {
        fired += 1;
      });
      systemClock.after(10, resolve);
    });
    expect(fired).toBe(1);
  });

  test('a delay beyond the longest one a timer takes does not fire at once', async () => {
    let hasFired = false;
    const cancel = systemClock.after(2 ** 40, () => (hasFired = true));
    await sleep(systemClock, 10);
    cancel();
    expect(hasFired).toBe(false);
  });
});

describe('sleep', () => {
  test('ends when its time has come, not earlier', async () => {
    const clock = new VirtualClock();
    let isAwake = false;
    const sleeping = sleep(clock, 100).then(() => (isAwake = true));
    await clock.advance(99);
    expect(isAwake).toBe(false);
    await clock.advance(1);
    expect(isAwake).toBe(true);
    await sleeping;
  });

  test('ends early and without an error when aborted, and leaves no timer', async () => {
    const clock = new VirtualClock();
    const stop = new AbortController();
    const sleeping = sleep(clock, 100, stop.signal);
    stop.abort();
    await sleeping;
    expect(clock.pendingTimers).toBe(0);
  });

  test('does not begin when the signal was aborted before', async () => {
    const clock = new VirtualClock();
    await sleep(clock, 100, AbortSignal.abort());
    expect(clock.pendingTimers).toBe(0);
  });

  test('an abort after its end changes nothing', async () => {
    const clock = new VirtualClock();
    const stop = new AbortController();
    const sleeping = sleep(clock, 5, stop.signal);
    await clock.advance(5);
    await sleeping;
    stop.abort();
    expect(clock.pendingTimers).toBe(0);
  });
});

describe('every', () => {
  test('ticks once a period, the first time after a whole one', async () => {
    const clock = new VirtualClock(0);
    const ticks: number[] = [];
    const stop = every(clock, 10, () => {
      ticks.push(clock.nowMs());
    });
    await clock.advance(35);
    stop();
    await clock.advance(100);
    expect(ticks).toEqual([10, 20, 30]);
    expect(clock.pendingTimers).toBe(0);
  });

  test('a tick that takes longer than the period is not overlapped by the next', async () => {
    const clock = new VirtualClock(0);
    const starts: number[] = [];
    let running = 0;
    let most = 0;
    const stop = every(clock, 10, async () => {
      starts.push(clock.nowMs());
      most = Math.max(most, (running += 1));
      await sleep(clock, 25);
      running -= 1;
    });
    await clock.advance(90);
    stop();
    expect(most).toBe(1);
    // The period begins at the end of the tick.
    expect(starts).toEqual([10, 45, 80]);
  });

  test('can be stopped from inside its tick, before and after the tick waits', async () => {
    for (const waitMs of [0, 5]) {
      const clock = new VirtualClock(0);
      let ticks = 0;
      const stop = every(clock, 10, async () => {
        ticks += 1;
        if (waitMs > 0) await sleep(clock, waitMs);
        stop();
      });
      await clock.advance(100);
      expect(ticks).toBe(1);
      expect(clock.pendingTimers).toBe(0);
    }
  });

  test('stopping while a tick runs lets it end and starts no other', async () => {
    const clock = new VirtualClock(0);
    let ended = 0;
    const stop = every(clock, 10, async () => {
      await sleep(clock, 5);
      ended += 1;
    });
    await clock.advance(12);
    stop();
    await clock.advance(100);
    expect(ended).toBe(1);
  });
});
