/** An ensemble of a Triton repository is served as it lies there, by real processes around a real Redis. */
import { repositoryPath, waitFor } from '@inferry/testkit';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Answer, call, inParallel, postJson, type RunningRole, System } from '../system.ts';

const models = repositoryPath('docs/examples/ensemble/models');

let system: System;
let gateway: RunningRole;

beforeAll(async () => {
  system = await System.open();
  [gateway] = await Promise.all([
    system.start('gateway', models),
    system.start('worker', models),
    // Steps of one worker may run on the other.
    system.start('worker', models),
  ]);
}, 90_000);

afterAll(() => system.stop());

/** Pictures whose right half is white, so many in one request. */
function photos(rows: number): object {
  const picture = Array.from({ length: 64 }, (_, i) => (i % 8 < 4 ? 0 : 255));
  const data = Array.from({ length: rows }, () => picture).flat();
  return { name: 'PHOTO', datatype: 'UINT8', shape: [rows, 8, 8], data };
}

function infer(rows: number, more: object = {}): Promise<Answer> {
  return postJson(`${gateway.url}/v2/models/photo/infer`, { inputs: [photos(rows)], ...more });
}

test('it is a model like any other, on every route of the protocol', async () => {
  expect((await call(`${gateway.url}/v2/models/photo`)).body).toMatchObject({
    platform: 'ensemble',
    versions: ['1'],
    inputs: [{ name: 'PHOTO', datatype: 'UINT8', shape: [-1, 8, 8] }],
    outputs: [
      { name: 'LIGHT', shape: [-1, 4] },
      { name: 'SCALED', shape: [-1, 64] },
    ],
  });
  expect((await call(`${gateway.url}/v2/models/photo/config`)).body).toMatchObject({
    platform: 'ensemble',
    max_batch_size: 16,
    ensemble_scheduling: {
      step: [
        { model_name: 'scale', model_version: -1, output_map: { IMAGE: 'SCALED' } },
        { model_name: 'light', model_version: -1, input_map: { IMAGE: 'SCALED' } },
      ],
    },
  });
  // The gateway hears within half a second of the last model that was loaded.
  await waitFor(async () => (await call(`${gateway.url}/v2/models/photo/ready`)).status === 200);
  const index = await postJson(`${gateway.url}/v2/repository/index`, {});
  expect(index.body).toContainEqual({ name: 'photo', version: '1', state: 'READY', reason: '' });
});

test('its answer is that of its steps, with its labels, and the outputs that are asked for', async () => {
  const { body, headers, status } = await infer(3);
  expect([status, headers.get('x-batch-size')]).toEqual([200, '3']);
  const [light, scaled] = body['outputs'] as readonly { data: number[]; shape: number[] }[];
  expect(light?.shape).toEqual([3, 4]);
  expect(light?.data[1]).toBeGreaterThan(0.9);
  expect(scaled?.data.slice(0, 8)).toEqual([0, 0, 0, 0, 1, 1, 1, 1]);
  const outputs = [{ name: 'LIGHT', parameters: { classification: 1 } }];
  expect((await infer(1, { outputs })).body).toMatchObject({
    outputs: [{ name: 'LIGHT', data: [expect.stringMatching(/:1:right$/u)] }],
  });
});

test('its steps share runs with each other, and all of it is counted', async () => {
  const answers = await inParallel(Array.from({ length: 60 }), 30, () => infer(1));
  expect(answers.every(({ status }) => status === 200)).toBe(true);
  const stats = async (model: string) => {
    const { body } = await call(`${gateway.url}/v2/models/${model}/stats`);
    const [told] = body['model_stats'] as readonly Record<string, number>[];
    return told ?? {};
  };
  await expect
    .poll(async () => (await stats('photo'))['inference_count'], { timeout: 10_000 })
    .toBe(64);
  expect((await stats('photo'))['execution_count']).toBe(62);
  const { execution_count: runs = 0, inference_count: rows = 0 } = await stats('light');
  expect(rows).toBe(64);
  expect(runs).toBeLessThan(62);
});

test('a request that cannot be read is refused at the door, with the input and its shape', async () => {
  const wrong = { name: 'PHOTO', datatype: 'UINT8', shape: [1, 64], data: Array(64).fill(0) };
  const { body, status } = await postJson(`${gateway.url}/v2/models/photo/infer`, {
    inputs: [wrong],
  });
  expect([status, body['error']]).toEqual([400, expect.stringContaining('[-1,8,8]')]);
  const many = await infer(17);
  expect([many.status, many.body['error']]).toEqual([400, expect.stringContaining('1 to 16')]);
});
