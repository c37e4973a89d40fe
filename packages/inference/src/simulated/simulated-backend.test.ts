import type { ModelManifest, SimulatedSpec } from '@inferry/contracts';
import { systemClock, VirtualClock } from '@inferry/runtime';
import { describe, expect, test } from 'vitest';
import { describeBackend } from '../backend.contract.ts';
import type { Item } from '../port.ts';
import { createSimulatedBackend } from './simulated-backend.ts';

const cpu = { kind: 'cpu', index: 0 } as const;
const quick: SimulatedSpec = { runMs: 0, rowMs: 0, failOn: null, hangOn: null, crashOn: null };

function manifest(simulated: Partial<SimulatedSpec>, datatype: 'INT64' | 'BYTES' = 'INT64') {
  return {
    name: 'sim',
    version: '1',
    backend: 'simulated',
    inputs: [{ name: 'x', datatype, shape: [-1, 1] }],
    outputs: [{ name: 'y', datatype, shape: [-1, 1] }],
    maxBatchSize: 4,
    warmupRows: [1, 4],
    simulated: { ...quick, ...simulated },
  } as unknown as ModelManifest;
}

function items(...values: number[]): Item[] {
  return values.map((value) => ({
    rows: 1,
    tensors: [
      {
        name: 'x',
        datatype: 'INT64',
        shape: [1, 1],
        bytes: new Uint8Array(BigInt64Array.of(BigInt(value)).buffer),
      },
    ],
  }));
}

async function load(simulated: Partial<SimulatedSpec>, clock = new VirtualClock()) {
  let aborts = 0;
  const abort = (): void => {
    aborts += 1;
  };
  const loaded = await createSimulatedBackend({ clock, abort }).load(manifest(simulated), cpu);
  if (!loaded.ok) throw new Error(loaded.error.detail);
  return { instance: loaded.value, clock, aborts: () => aborts };
}

describeBackend('simulated', async () => {
  const backend = createSimulatedBackend({ clock: systemClock, abort: () => undefined });
  const loaded = await backend.load(manifest({ failOn: 16, rowMs: 0.1 }), cpu);
  if (!loaded.ok) throw new Error(loaded.error.detail);
  return {
    instance: loaded.value,
    input: 'x',
    output: 'y',
    answer: (value) => value,
    bad: 16,
    warmupRows: [1, 4],
  };
});

describe('simulated models', () => {
  test('a run takes its fixed time and its time a row, no longer', async () => {
    const { instance, clock } = await load({ runMs: 100, rowMs: 10 });
    let answer: unknown;
    void instance.run(items(1, 2, 3), []).then((value) => (answer = value));
    await clock.advance(129);
    expect(answer).toBeUndefined();
    await clock.advance(1);
    expect(answer).toMatchObject({ ok: true, value: { computeMs: 130 } });
  });

  test('it says what warm-up runs would have taken, and does not take that time', async () => {
    const { instance } = await load({ runMs: 100, rowMs: 10 });
    const runs = instance.warmupRuns.map(({ ms, rows }) => [rows, ms]);
    expect(new Set(runs.map(String))).toEqual(new Set(['1,110', '4,140']));
  });

  test('a run that costs nothing sets no timer', async () => {
    const { instance, clock } = await load({});
    expect(await instance.run(items(1), [])).toMatchObject({ ok: true });
    expect(clock.pendingTimers).toBe(0);
  });

  test('a hang never ends, and a crash asks for the end of the process', async () => {
    const { instance, clock, aborts } = await load({ hangOn: -2, crashOn: -3 });
    let settled = 0;
    void instance.run(items(1, -2), []).finally(() => (settled += 1));
    await clock.advance(3_600_000);
    expect(aborts()).toBe(0);
    void instance.run(items(-3), []).finally(() => (settled += 1));
    await clock.advance(3_600_000);
    expect(aborts()).toBe(1);
    expect(settled).toBe(0);
  });

  test.each<[string, ModelManifest, 'cpu' | 'cuda', string]>([
    ['a device it cannot be on', manifest({}), 'cuda', 'cannot run on cuda'],
    ['nothing to simulate', { ...manifest({}), simulated: null }, 'cpu', 'what to simulate'],
    ['an output without an input', { ...manifest({}), inputs: [] }, 'cpu', 'output "y"'],
    ['a trigger it cannot see', manifest({ failOn: 1 }, 'BYTES'), 'cpu', 'BYTES'],
  ])('%s is refused at load', async (_, model, kind, detail) => {
    const backend = createSimulatedBackend({ clock: systemClock, abort: () => undefined });
    const loaded = await backend.load(model, { kind, index: 0 });
    expect(loaded).toMatchObject({ ok: false, error: { code: 'model_unavailable' } });
    if (!loaded.ok) expect(loaded.error.detail).toContain(detail);
  });
});
