import { VirtualClock } from '@inferry/runtime';
import { expect, test } from 'vitest';
import { createMetrics } from './metrics.ts';
import { startRuntimeMetrics } from './runtime-metrics.ts';

const build = { version: '0', revision: '', onnxruntime: 'none' };

function value(text: string, sample: string): number {
  const line = text.split('\n').find((candidate) => candidate.startsWith(`${sample} `));
  return Number(line?.slice(sample.length + 1));
}

test('lag is observed every 20 ms and the queue asked every 5 s, until stopped', async () => {
  const clock = new VirtualClock();
  const metrics = createMetrics('worker', build, clock);
  const answers = [2, undefined, 4];
  const stop = startRuntimeMetrics({ clock, metrics, ping: async () => answers.shift() });
  await clock.advance(15_000);
  stop();
  const text = await metrics.text();
  expect(value(text, 'inferry_event_loop_lag_seconds_count')).toBe(750);
  expect(value(text, 'inferry_redis_rtt_seconds_count')).toBe(2);
  expect(value(text, 'inferry_redis_rtt_seconds_sum')).toBeCloseTo(0.006);
  const utilization = value(text, 'inferry_event_loop_utilization_ratio');
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
  expect(value(await metrics.text(), 'inferry_redis_rtt_seconds_count')).toBe(1);
});
