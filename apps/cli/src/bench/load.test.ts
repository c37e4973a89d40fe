import { seededRandom, VirtualClock } from '@inferry/runtime';
import { describe, expect, test } from 'vitest';
import { closedLoop, type OpenLoopOptions, openLoop } from './load.ts';

/** A server whose answers take `answerMs`, and what reached it. */
function served(clock: VirtualClock, answerMs: number) {
  const startMs = clock.nowMs();
  const sends: { dueMs: number; sentMs: number }[] = [];
  const open = { now: 0, max: 0 };
  return {
    sends,
    open,
    send: (dueAtMs: number) => {
      sends.push({ dueMs: dueAtMs - startMs, sentMs: clock.nowMs() - startMs });
      open.now += 1;
      open.max = Math.max(open.max, open.now);
      return new Promise<void>((resolve) => {
        clock.after(answerMs, () => {
          open.now -= 1;
          resolve();
        });
      });
    },
  };
}

async function hasEnded(idle: Promise<void>): Promise<boolean> {
  return Promise.race([idle.then(() => true), Promise.resolve().then(() => false)]);
}

describe('a closed loop', () => {
  test('keeps exactly as many requests open as it should, and each is due when one has ended', async () => {
    const clock = new VirtualClock();
    const server = served(clock, 10);
    closedLoop(3, { clock, send: server.send });
    await clock.advance(95);
    expect(server.open).toEqual({ now: 3, max: 3 });
    expect(server.sends).toHaveLength(30);
    expect(server.sends.every(({ dueMs, sentMs }) => dueMs === sentMs)).toBe(true);
  });

  test('begins nothing more once it was stopped, and is idle when the last has ended', async () => {
    const clock = new VirtualClock();
    const server = served(clock, 10);
    const load = closedLoop(2, { clock, send: server.send });
    await clock.advance(15);
    load.stop();
    expect(await hasEnded(load.idle)).toBe(false);
    await clock.advance(10);
    await load.idle;
    expect(server.sends).toHaveLength(4);
  });
});

describe('an open loop', () => {
  function start(
    options: Partial<OpenLoopOptions> & {
      readonly clock: VirtualClock;
      readonly answerMs?: number;
    },
  ) {
    const { clock, answerMs = 5 } = options;
    const server = served(clock, answerMs);
    const notSent: number[] = [];
    const load = openLoop({
      perSecond: 100,
      arrivals: 'constant',
      inFlightMax: 1_000,
      random: seededRandom(1),
      send: server.send,
      onNotSent: (dueAtMs) => notSent.push(dueAtMs),
      ...options,
    });
    return { ...server, load, notSent };
  }

  test('begins requests at even distances, however long answers take', async () => {
    const clock = new VirtualClock();
    const { sends } = start({ clock, answerMs: 100_000 });
    await clock.advance(1_000);
    expect(sends.map(({ dueMs }) => Math.round(dueMs))).toEqual(
      Array.from({ length: 100 }, (_, i) => (i + 1) * 10),
    );
  });

  test('at random it keeps the rate, with exponential gaps', async () => {
    const clock = new VirtualClock();
    const { sends } = start({ clock, arrivals: 'poisson', perSecond: 200 });
    await clock.advance(20_000);
    const gaps = sends.map(({ dueMs }, i) => dueMs - (sends[i - 1]?.dueMs ?? 0));
    const mean = gaps.reduce((sum, gap) => sum + gap, 0) / gaps.length;
    const variance = gaps.reduce((sum, gap) => sum + (gap - mean) ** 2, 0) / gaps.length;
    expect(Math.abs(sends.length - 4_000)).toBeLessThan(4 * Math.sqrt(4_000));
    // The standard deviation of an exponential distribution is its mean.
    expect(Math.sqrt(variance) / mean).toBeGreaterThan(0.9);
    expect(Math.sqrt(variance) / mean).toBeLessThan(1.1);
  });

  test('what a stall delayed is sent after it, due when it was due', async () => {
    const clock = new StalledClock();
    const { sends } = start({ clock, perSecond: 10 });
    clock.stall(1_000);
    expect(sends.map(({ dueMs }) => Math.round(dueMs))).toEqual(
      Array.from({ length: 10 }, (_, i) => (i + 1) * 100),
    );
    expect(sends.every(({ sentMs }) => sentMs === 1_000)).toBe(true);
  });

  test('what is due beyond the bound is counted and not sent', async () => {
    const clock = new VirtualClock();
    const { sends, notSent, open } = start({ clock, inFlightMax: 4, answerMs: 1_000 });
    await clock.advance(995);
    expect([sends.length, notSent.length, open.max]).toEqual([4, 95, 4]);
    await clock.advance(1_000);
    expect(sends).toHaveLength(8);
  });

  test('stopped, it begins nothing more and is idle when the last has ended', async () => {
    const clock = new VirtualClock();
    const { sends, load } = start({ clock, answerMs: 50 });
    await clock.advance(25);
    load.stop();
    expect(await hasEnded(load.idle)).toBe(false);
    await clock.advance(100);
    await load.idle;
    expect(sends).toHaveLength(2);
    expect(clock.pendingTimers).toBe(0);
  });

  test('stopped while nothing is open, it is idle at once', async () => {
    const clock = new VirtualClock();
    const { load } = start({ clock });
    load.stop();
    await load.idle;
    expect(clock.pendingTimers).toBe(0);
  });
});

/** A clock in a process that hangs: timers fire when it is over, and time has passed. */
class StalledClock extends VirtualClock {
  readonly #due: (() => void)[] = [];
  #stalledMs = 0;

  override nowMs(): number {
    return super.nowMs() + this.#stalledMs;
  }

  override after(_delayMs: number, fire: () => void): () => void {
    this.#due.push(fire);
    return () => undefined;
  }

  stall(ms: number): void {
    this.#stalledMs += ms;
    for (const fire of this.#due.splice(0)) fire();
  }
}
