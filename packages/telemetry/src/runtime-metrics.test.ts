import { type Clock, VirtualClock } from '@inferry/runtime';
import { expect, test } from 'vitest';
import { parseExposition } from './exposition.ts';
import { createMetrics } from './metrics.ts';
import { startRuntimeMetrics } from './runtime-metrics.ts';

const build = { version: '0', revision: '', onnxruntime: 'none' };

test('lag is observed every 20 ms and the queue asked every 5 s, until stopped', async () => {
  const clock = new VirtualClock();
  const metrics = createMetrics('worker', build, clock);
  const answers = [2, undefined, 4];
  const stop = startRuntimeMetrics({ clock, metrics, ping: async () => answers.shift() });
  await clock.advance(15_000);
  stop();
  const found = parseExposition(await metrics.text());
  expect(found.get('inferry_event_loop_lag_seconds_count')).toBe(750);
  expect(found.get('inferry_redis_rtt_seconds_count')).toBe(2);
  expect(found.get('inferry_redis_rtt_seconds_sum')).toBeCloseTo(0.006);
  const utilization = found.get('inferry_event_loop_utilization_ratio') ?? -1;
  expect(utilization >= 0 && utilization <= 1).toBe(true);
  expect(clock.pendingTimers).toBe(0);
});

test('a ping that fails is not an observation and does not end the asking', async () => {
  const clock = new VirtualClock();
  const metrics = createMetrics('gateway', build, clock);
  let calls = 0;
  const ping = (): Promise<number> => {
    calls += 1;
    return calls === 1 ? Promise.reject(new Error('away')) : Promise.resolve(1);
  };
  const stop = startRuntimeMetrics({ clock, metrics, ping });
  await clock.advance(10_000);
  stop();
  expect(parseExposition(await metrics.text()).get('inferry_redis_rtt_seconds_count')).toBe(1);
});

test('of a loop that was held up, all timers that were due meanwhile are late', async () => {
  const virtual = new VirtualClock();
  let heldUpMs = 0;
  const clock: Clock = {
    nowMs: () => virtual.nowMs() + heldUpMs,
    after: (delayMs, fire) => virtual.after(delayMs, fire),
  };
  const metrics = createMetrics('worker', build, clock);
  const stop = startRuntimeMetrics({ clock, metrics, ping: async () => undefined });
  await virtual.advance(50_000);
  heldUpMs = 10_000;
  await virtual.advance(1_000);
  const lag = async (name: string): Promise<number> =>
    parseExposition(await metrics.text()).get(`inferry_event_loop_lag_seconds_${name}`) ?? -1;
  const timers = await lag('count');
  expect(timers).toBe((50_000 + 1_000 + 10_000) / 20);
  // A sixth of the time, as it was.
  expect((timers - (await lag('bucket{le="0.25"}'))) / timers).toBeCloseTo(1 / 6, 1);
  // A process that was stopped for a night does not pay for it.
  heldUpMs = 36_000_000;
  await virtual.advance(1_000);
  stop();
  expect((await lag('count')) - timers).toBeLessThan(3_100);
});
