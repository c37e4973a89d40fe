/** Two models on one worker that runs one batch at a time: they share its time, and not its turns. */
import { rm } from 'node:fs/promises';
import { waitFor } from '@inferry/testkit';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { joinRepositories, writeSimulatedModel } from '../simulated-model.ts';
import { inParallel, metricSum, postJson, System } from '../system.ts';

const directories: string[] = [];
let system: System;
beforeEach(async () => {
  system = await System.open({}, { INFERRY_CONCURRENT_RUNS: '1' });
});
afterEach(async () => {
  await system.stop();
  for (const directory of directories.splice(0)) await rm(directory, { recursive: true });
});

async function twoModels(): Promise<string> {
  const one = { max_batch_size: 1 };
  const apart = [
    await writeSimulatedModel('slow', { run_ms: 100 }, one),
    await writeSimulatedModel('quick', { run_ms: 10 }, one),
  ];
  const directory = await joinRepositories(apart);
  directories.push(...apart, directory);
  return directory;
}

test('runs of 100 ms and of 10 ms get the same time, and not the same number of batches', async () => {
  const models = await twoModels();
  const gateway = await system.start('gateway', models);
  // Twice what is served before the end of the test: neither runs out of work.
  const jobs = Array.from({ length: 330 }, (_, i) => (i % 11 === 0 ? 'slow' : 'quick'));
  const input = { inputs: [{ name: 'x', shape: [1, 1], datatype: 'FP32', data: [1] }] };
  await inParallel(jobs, 16, async (model) => {
    const { status } = await postJson(`${gateway.url}/v1/models/${model}/jobs`, { input });
    expect(status).toBe(202);
  });

  const worker = await system.start('worker', models);
  const told = (name: string, model: string): Promise<number> =>
    metricSum([worker], `inferry_${name}`, { model });
  const { quickSeconds, slowSeconds } = await waitFor(
    async () => {
      const slowSeconds = await told('worker_busy_seconds_total', 'slow');
      const quickSeconds = await told('worker_busy_seconds_total', 'quick');
      return slowSeconds + quickSeconds >= 2.5 && { slowSeconds, quickSeconds };
    },
    { timeoutMs: 15_000, what: 'the time of 25 slow runs' },
  );
  const slowRuns = await told('batch_size_count', 'slow');
  const quickRuns = await told('batch_size_count', 'quick');

  // A run of each model apart by the order of turns, and one that has not ended and does not count yet.
  expect(Math.abs(slowSeconds - quickSeconds)).toBeLessThan(0.4);
  // The runs of the quick model take a tenth, and a timer's delay.
  expect(quickRuns).toBeGreaterThan(5 * slowRuns);
  expect(slowRuns).toBeLessThan(30);
  expect(quickRuns).toBeLessThan(300);
});
