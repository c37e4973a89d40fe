/** Measuring a simulated model on a virtual clock: what it costs is known, and time costs nothing. */
import { setImmediate } from 'node:timers/promises';
import type { ModelManifest } from '@inferry/contracts';
import { loadRepository } from '@inferry/models';
import { invariant, seededRandom, VirtualClock } from '@inferry/runtime';
import { createLogger } from '@inferry/telemetry';
import { createBackend, MeasuredModel } from '@inferry/worker';
import { repositoryPath } from '@inferry/testkit';
import { beforeAll, expect, test } from 'vitest';
import { candidateOf, type Goal } from './choose.ts';
import { type Measured, measureSetup } from './measure-setup.ts';

const goal: Goal = { latencyTargetMs: 300, rowsMax: 64, overheadMs: 2 };
const roomy = { usedBytes: () => 1, bytesMax: 2 };
let iris: ModelManifest;

beforeAll(async () => {
  const { models } = await loadRepository(repositoryPath('models'));
  const found = models.find(({ name }) => name === 'iris');
  invariant(found !== undefined, 'the repository has iris');
  iris = found;
});

/** A run of n rows takes 80 + 5n ms. */
function simulated(failOn: number | null = null): ModelManifest {
  const tensor = { datatype: 'FP32', shape: [-1, 4] } as const;
  return {
    ...iris,
    backend: 'simulated',
    inputs: [{ name: 'x', ...tensor }],
    outputs: [{ name: 'y', ...tensor }],
    simulated: { runMs: 80, rowMs: 5, failOn, hangOn: null, crashOn: null },
  };
}

async function measure(options: {
  readonly instances?: number;
  readonly msMax?: number;
  readonly manifest?: ModelManifest;
  readonly goal?: Goal;
  readonly memory?: { usedBytes: () => number; bytesMax: number };
}): Promise<Measured & { readonly tookMs: number }> {
  const { instances = 1, memory = roomy, msMax = 60_000 } = options;
  const clock = new VirtualClock();
  const opened = await MeasuredModel.open({
    backend: createBackend({ clock, abort: () => undefined }),
    manifest: options.manifest ?? simulated(),
    device: { kind: 'cpu', index: 0 },
    instances,
    cores: 4,
    prepareIn: 'auto',
    jpegDecoder: 'auto',
    payloads: [],
    clock,
    random: seededRandom(1),
    logger: createLogger({ role: 'worker', level: 'error', destination: process.stderr }),
  });
  invariant(opened.ok, 'a simulated model loads');
  const startedAtMs = clock.nowMs();
  let tookMs = 0;
  const onPoint = (): void => {
    tookMs = clock.nowMs() - startedAtMs;
  };
  const measuring = measureSetup({ threads: 1, instances }, options.goal ?? goal, msMax, {
    clock,
    memory,
    model: opened.value,
    onPoint,
  });
  const over = new AbortController();
  void measuring.finally(() => over.abort());
  while (!over.signal.aborted) {
    await clock.advance(1);
    await setImmediate();
  }
  return { ...(await measuring), tookMs };
}

test('every size costs what it is told to cost, and the batch is the largest that keeps the target', async () => {
  const { end, points } = await measure({});
  for (const { meanMs, rows, uncertainty } of points) {
    expect(meanMs).toBeCloseTo(80 + 5 * rows, 1);
    expect(uncertainty).toBeLessThan(0.001);
  }
  expect(end).toEqual({ kind: 'target' });
  const curve = { threads: 1, instances: 1, points, end, preparedIn: null, peakBytes: 0 };
  // 2 * (80 + 5 * 13) + 2 = 292; 14 rows would take 302.
  expect(candidateOf(curve, goal)).toMatchObject({ point: { rows: 13 }, bound: 'target' });
});

test('instances run at the same time: eight batches each take no longer than eight batches', async () => {
  const one = await measure({ goal: { ...goal, rowsMax: 1 } });
  const four = await measure({ instances: 4, goal: { ...goal, rowsMax: 1 } });
  expect(four.points[0]?.batches).toBeGreaterThanOrEqual(4 * 8);
  expect(four.tookMs).toBeLessThan(1.5 * one.tookMs);
});

test('when the time is over it ends, with what there is', async () => {
  const { end, points, tookMs } = await measure({ msMax: 1_500 });
  expect(end).toEqual({ kind: 'time' });
  expect(points.length).toBeGreaterThan(0);
  expect(tookMs).toBeLessThan(2_000);
});

test('a size that would not fit into memory is not tried', async () => {
  const used = [1_000, 1_100, 1_300];
  const memory = { usedBytes: () => used.shift() ?? Infinity, bytesMax: 1_500 };
  const { end, points } = await measure({ memory, goal: { ...goal, latencyTargetMs: null } });
  // 100 bytes a row: 8 rows would need 1,700.
  expect(points.map(({ rows }) => rows)).toEqual([1, 2, 4]);
  expect(end).toEqual({ kind: 'memory' });
});

test('a model that fails is told with its words', async () => {
  const { end, points } = await measure({ manifest: simulated(0) });
  expect(points).toEqual([]);
  expect(end).toEqual({
    kind: 'failed',
    rows: 1,
    reason: 'The model failed: simulated failure on 0',
  });
});
