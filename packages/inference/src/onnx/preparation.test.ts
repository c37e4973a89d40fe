/** Items prepared inside the compute thread: their tensors are run where they are. */
import { invariant, type Result } from '@inferry/runtime';
import { repositoryPath, testManifest } from '@inferry/testkit';
import { afterEach, describe, expect, test } from 'vitest';
import type { ModelInstance, RunItem, ThreadPreparer } from '../port.ts';
import { createOnnxBackend } from './onnx-backend.ts';
import type { FixtureRequest } from './preparation.fixture.ts';

const module = { url: new URL('./preparation.fixture.ts', import.meta.url).href, data: 'x' };
const manifest = testManifest({
  name: 'identity_fp32',
  file: repositoryPath('packages/testkit/fixtures/models/identity_fp32/1/model.onnx'),
});
const items: FixtureRequest['items'] = [
  [[1, 2]],
  [
    [3, 4],
    [5, 6],
  ],
  [[7, 8]],
];
const request: FixtureRequest = { items, isExpected: false };

const open: ModelInstance[] = [];
afterEach(async () => {
  for (const instance of open.splice(0)) await instance.close();
});

function valueOf<T>(result: Result<T, { readonly detail: string }>): T {
  invariant(result.ok, result.ok ? '' : result.error.detail);
  return result.value;
}

async function load(): Promise<{ instance: ModelInstance; preparer: ThreadPreparer }> {
  const cpu = { kind: 'cpu', index: 0 } as const;
  const instance = valueOf(await createOnnxBackend().load(manifest, cpu, module));
  open.push(instance);
  invariant(instance.preparer !== null, 'the backend was told how to prepare');
  return { instance, preparer: instance.preparer };
}

function heldItem(batch: number, position: number): RunItem {
  return { held: { batch, position }, rows: items[position]?.length ?? 0 };
}

async function answers(instance: ModelInstance, items: readonly RunItem[]): Promise<number[][]> {
  const { items: outputs } = valueOf(await instance.run(items, []));
  return outputs.map(([tensor]) => {
    invariant(tensor !== undefined, 'the model has an output');
    return [...new Float32Array(tensor.bytes.slice().buffer)];
  });
}

test('without a preparation, an instance has no preparer', async () => {
  const instance = valueOf(await createOnnxBackend().load(manifest, { kind: 'cpu', index: 0 }));
  open.push(instance);
  expect(instance.preparer).toBeNull();
});

test('each item is answered from its own tensors, whichever of a batch run together', async () => {
  const { instance, preparer } = await load();
  const { batch, answer } = valueOf(await preparer.prepare(request));
  expect(answer).toEqual([1, 2, 1]);
  expect(
    await answers(
      instance,
      [0, 1, 2].map((i) => heldItem(batch, i)),
    ),
  ).toEqual([
    [1, 2],
    [3, 4, 5, 6],
    [7, 8],
  ]);
  expect(
    await answers(
      instance,
      [2, 0].map((i) => heldItem(batch, i)),
    ),
  ).toEqual([
    [7, 8],
    [1, 2],
  ]);
  const sent = { tensors: [{ ...tensorOf(9, 9) }], rows: 1 };
  expect(await answers(instance, [sent, heldItem(batch, 2)])).toEqual([
    [9, 9],
    [7, 8],
  ]);
});

test('two batches are held at a time', async () => {
  const { instance, preparer } = await load();
  const first = valueOf(await preparer.prepare(request)).batch;
  const second = valueOf(await preparer.prepare({ items: [[[10, 20]]], isExpected: false })).batch;
  preparer.drop(first);
  expect([preparer.holds(first), preparer.holds(second)]).toEqual([false, true]);
  expect(await answers(instance, [{ held: { batch: second, position: 0 }, rows: 1 }])).toEqual([
    [10, 20],
  ]);
});

describe('a run that begins with its preparation', () => {
  const expected = { items, isExpected: true };

  test('is the answer to the one who asks for it, and to that one alone', async () => {
    const { instance, preparer } = await load();
    const { batch } = valueOf(await preparer.prepare(expected));
    const all = [0, 1, 2].map((i) => heldItem(batch, i));
    const whole = [
      [1, 2],
      [3, 4, 5, 6],
      [7, 8],
    ];
    expect(await answers(instance, all)).toEqual(whole);
    expect(await answers(instance, all)).toEqual(whole);
  });

  test('is passed over where something else is wanted', async () => {
    const { instance, preparer } = await load();
    const { batch } = valueOf(await preparer.prepare(expected));
    expect(await answers(instance, [heldItem(batch, 2), heldItem(batch, 0)])).toEqual([
      [7, 8],
      [1, 2],
    ]);
  });

  test('can be waited for where nobody wants it', async () => {
    const { instance, preparer } = await load();
    expect(preparer.unwanted()).toBeNull();
    const { batch } = valueOf(await preparer.prepare(expected));
    preparer.drop(batch);
    await preparer.unwanted();
    expect(preparer.unwanted()).toBeNull();
    const again = valueOf(await preparer.prepare(expected)).batch;
    await answers(instance, [heldItem(again, 0)]);
    expect(preparer.unwanted()).toBeNull();
  });

  test('is passed over where nothing is wanted: the next batch is prepared, or the thread ends', async () => {
    const { instance, preparer } = await load();
    await preparer.prepare(expected);
    const next = { items: [[[10, 20] as const]], isExpected: true };
    const { batch } = valueOf(await preparer.prepare(next));
    expect(await answers(instance, [{ held: { batch, position: 0 }, rows: 1 }])).toEqual([
      [10, 20],
    ]);
    await preparer.prepare(expected);
  });
});

test('a preparation that breaks takes its thread along, and the next one has a new thread', async () => {
  const { instance, preparer } = await load();
  const before = valueOf(await preparer.prepare(request)).batch;
  expect(await preparer.prepare({ items: [], isExpected: false })).toMatchObject({
    ok: false,
    error: { code: 'model_error' },
  });
  expect(preparer.holds(before)).toBe(false);
  const { batch } = valueOf(await preparer.prepare(request));
  expect(await answers(instance, [heldItem(batch, 0)])).toEqual([[1, 2]]);
});

function tensorOf(...values: number[]) {
  const bytes = new Uint8Array(Float32Array.from(values).buffer);
  return { name: 'x', datatype: 'FP32', shape: [1, 2], bytes } as const;
}
