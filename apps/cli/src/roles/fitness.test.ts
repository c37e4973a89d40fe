import type { QueueCheck } from '@inferry/queue';
import { VirtualClock } from '@inferry/runtime';
import { createLogger, createMetrics, parseExposition } from '@inferry/telemetry';
import { Writable } from 'node:stream';
import { expect, test } from 'vitest';
import { watchFitness } from './queue.ts';

function setUp(answers: readonly (readonly QueueCheck[] | Error)[]) {
  const lines: string[] = [];
  const destination = new Writable({
    write(chunk: Buffer, _encoding, done) {
      lines.push(chunk.toString());
      done();
    },
  });
  const clock = new VirtualClock();
  const metrics = createMetrics(
    'gateway',
    { version: '1', revision: 'r', onnxruntime: 'none' },
    clock,
  );
  let looks = 0;
  const inspect = async (): Promise<readonly QueueCheck[]> => {
    const answer = answers[Math.min(looks, answers.length - 1)] ?? [];
    looks += 1;
    if (answer instanceof Error) throw answer;
    return answer;
  };
  const logger = createLogger({ role: 'gateway', level: 'info', destination });
  const stop = watchFitness({ inspect }, { clock, logger, metrics });
  const value = async (check: string): Promise<number | undefined> =>
    parseExposition(await metrics.text()).get(`inferry_redis_config_ok{check="${check}"}`);
  return { clock, lines, stop, value };
}

const fine: QueueCheck = { name: 'persistence', verdict: 'fine', detail: 'ok', remedy: null };
const bad: QueueCheck = { ...fine, verdict: 'bad', detail: 'no file', remedy: 'appendonly yes' };

test('each check is a series, and a bad one is logged once, with what to do', async () => {
  const { clock, lines, stop, value } = setUp([[bad], [bad], [fine], [bad]]);
  await clock.advance(0);
  expect(await value('persistence')).toBe(0);
  await clock.advance(10_000);
  expect(lines.filter((line) => line.includes('appendonly yes'))).toHaveLength(1);
  await clock.advance(10_000);
  expect(await value('persistence')).toBe(1);
  await clock.advance(10_000);
  expect(lines.filter((line) => line.includes('appendonly yes'))).toHaveLength(2);
  stop();
  expect(clock.pendingTimers).toBe(0);
});

test('nothing is said of a queue in memory, nor of one that is away', async () => {
  const { clock, stop, value } = setUp([[], [fine], new Error('away'), [bad]]);
  await clock.advance(0);
  expect(await value('persistence')).toBeUndefined();
  await clock.advance(10_000);
  expect(await value('persistence')).toBe(1);
  await clock.advance(10_000);
  expect(await value('persistence')).toBeUndefined();
  await clock.advance(10_000);
  expect(await value('persistence')).toBe(0);
  stop();
});

test('a user that may not ask how Redis is, is told once', async () => {
  const { clock, lines, stop } = setUp([new Error("NOPERM no permissions to run 'info'")]);
  await clock.advance(20_000);
  expect(lines.filter((line) => line.includes('make-users.mjs'))).toHaveLength(1);
  stop();
});

test('what is only slow has metrics of its own', async () => {
  const slow: QueueCheck = { ...bad, name: 'round_trip', verdict: 'doubtful' };
  const { clock, lines, stop, value } = setUp([[slow]]);
  await clock.advance(0);
  expect([await value('round_trip'), lines]).toEqual([undefined, []]);
  stop();
});
