import {
  classOf,
  type JobInput,
  type ModelManifest,
  type Outcome,
  type WorkerAnnouncement,
} from '@inferry/contracts';
import { ModelCatalogue } from '@inferry/models';
import { StatisticsTally } from '@inferry/queue';
import { systemClock } from '@inferry/runtime';
import { afterEach, describe, expect, test } from 'vitest';

import { startWorker, succeeded, type TestGateway, testGateway } from './gateway-fixture.test.ts';
import { FirstResponses } from './first-responses.ts';
import { image, openGrpc, workFor } from './grpc/grpc-fixture.test.ts';
import { digits, iris } from './models-fixture.test.ts';
import { QueueLooks } from './queue-looks.ts';
import { ResponseCache } from './response-cache.ts';
import { createGatewayTelemetry } from './telemetry.ts';
import { exportTritonMetrics } from './triton-metrics.ts';

/** Runs in reverse when a test is over. */
const closing: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).toReversed()) await close();
});

const kept: ModelManifest = { ...iris, hasResponseCache: true };

/** A worker that has the model ready. */
function having(model: ModelManifest, workerId = 'w1'): WorkerAnnouncement {
  const served = { provider: 'cpu', device: 'cpu', loadMs: 1, state: 'ready' } as const;
  return {
    v: 1,
    workerId,
    host: 'h',
    pid: 1,
    state: 'serving',
    startedAtMs: 1,
    models: [{ ...served, manifest: model }],
  };
}

function open(
  model: ModelManifest = kept,
  run: (input: JobInput) => Outcome = answered,
  cacheBytesMax = 100_000,
): { readonly gateway: TestGateway; readonly runs: () => number } {
  const gateway = testGateway({}, { cacheBytesMax, models: [model] });
  gateway.catalogue.replaceAnnounced([having(model)]);
  const worker = startWorker(gateway.queue, run);
  closing.push(
    () => gateway.close(),
    () => worker.stop(),
  );
  return { gateway, runs: () => worker.seen.length };
}

/** The first value of the input as an integer. */
function answered(input: JobInput): Outcome {
  const first =
    input.form === 'tensors' ? new Uint8Array(input.tensors[0]?.bytes ?? []) : new Uint8Array(4);
  const value = new DataView(first.buffer).getFloat32(0, true);
  const bytes = new Uint8Array(new BigInt64Array([BigInt(value)]).buffer);
  const tensors = [{ name: 'count', datatype: 'INT64', shape: [1], bytes }] as const;
  return { ...succeeded, output: { form: 'tensors', tensors } };
}

function floatOf(value: number) {
  const bytes = new Uint8Array(Float32Array.of(value).buffer);
  return { name: 'x', datatype: 'FP32', shape: [1], bytes } as const;
}

function infer(
  { gateway }: { readonly gateway: TestGateway },
  value: number,
  more: object = {},
): Promise<Response> {
  const inputs = [{ name: 'features', datatype: 'FP32', shape: [1, 2], data: [value, 2] }];
  return gateway.request('/v2/models/iris/infer', {
    method: 'POST',
    body: JSON.stringify({ inputs, ...more }),
  });
}

async function told(response: Response): Promise<unknown> {
  const { outputs } = (await response.json()) as { outputs: readonly { data: unknown }[] };
  return [outputs[0]?.data, response.headers.get('cache-status'), response.headers.has('job-id')];
}

describe('a request with the input of another', () => {
  test('is answered with what was kept, without a job', async () => {
    const opened = open();
    expect(await told(await infer(opened, 7))).toEqual([[7], null, true]);
    expect(await told(await infer(opened, 7, { id: 'q' }))).toEqual([[7], 'inferry; hit', false]);
    expect(await told(await infer(opened, 8))).toEqual([[8], null, true]);
    expect(await told(await infer(opened, 7))).toEqual([[7], 'inferry; hit', false]);
    expect(opened.runs()).toBe(2);
  });

  test('is one of its own where it wants other outputs', async () => {
    const opened = open();
    await infer(opened, 7);
    const outputs = [{ name: 'count' }];
    expect(await told(await infer(opened, 7, { outputs }))).toEqual([[7], null, true]);
    expect(opened.runs()).toBe(2);
  });

  test('is computed where the model does not say so, is composed, or nothing may be kept', async () => {
    const composed: ModelManifest = { ...kept, backend: 'ensemble' };
    for (const [model, bytes] of [
      [iris, 100_000],
      [composed, 100_000],
      [kept, 0],
    ] as const) {
      const opened = open(model, answered, bytes);
      for (let i = 0; i < 2; i += 1) {
        expect(await told(await infer(opened, 7))).toEqual([[7], null, true]);
      }
      expect(opened.runs()).toBe(2);
    }
  });

  test('is computed again where the first one failed', async () => {
    let isBroken = true;
    const error = { code: 'model_error', detail: 'broken' } as const;
    const opened = open(kept, (input) =>
      isBroken ? { ...succeeded, status: 'failed', output: null, error } : answered(input),
    );
    expect((await infer(opened, 7)).status).toBe(500);
    isBroken = false;
    expect(await told(await infer(opened, 7))).toEqual([[7], null, true]);
  });

  test('is computed again when workers have other content, also when the old comes back', async () => {
    let value = 1;
    const opened = open(kept, () => answered({ form: 'tensors', tensors: [floatOf(value)] }));
    const { catalogue } = opened.gateway;
    const other = { ...kept, digest: 'other' };
    await infer(opened, 7);
    // Its worker has the other content already, and the gateway has not heard of it.
    value = 2;
    expect(await told(await infer(opened, 8))).toEqual([[2], null, true]);
    catalogue.replaceAnnounced([having(other)]);
    expect(await told(await infer(opened, 7))).toEqual([[2], null, true]);
    value = 1;
    catalogue.replaceAnnounced([having(kept)]);
    expect(await told(await infer(opened, 8))).toEqual([[1], null, true]);
    expect(await told(await infer(opened, 8))).toEqual([[1], 'inferry; hit', false]);
  });

  test('is computed while workers differ in their content, and none of those answers is kept', async () => {
    const opened = open();
    const { catalogue } = opened.gateway;
    const other = { ...kept, digest: 'other' };
    catalogue.replaceAnnounced([having(kept), having(other, 'w2')]);
    for (let i = 0; i < 2; i += 1) {
      expect(await told(await infer(opened, 7))).toEqual([[7], null, true]);
    }
    catalogue.replaceAnnounced([having(other), having(other, 'w2')]);
    expect(await told(await infer(opened, 7))).toEqual([[7], null, true]);
    expect(await told(await infer(opened, 7))).toEqual([[7], 'inferry; hit', false]);
  });

  test('over gRPC is told so behind the answer', async () => {
    const gateway = await openGrpc(
      {},
      { cacheBytesMax: 100_000, models: [{ ...digits, hasResponseCache: true }] },
    );
    gateway.catalogue.replaceAnnounced([having({ ...digits, hasResponseCache: true })]);
    const worker = workFor(gateway);
    const [first, second] = [
      await gateway.call('ModelInfer', image('same')),
      await gateway.call('ModelInfer', image('same')),
    ];
    expect([first.error, second.error]).toEqual([null, null]);
    expect(second.answer?.equals(first.answer ?? Buffer.alloc(0))).toBe(true);
    expect([first, second].map(({ trailers }) => trailers.get('cache-status'))).toEqual([
      [],
      ['inferry; hit'],
    ]);
    expect(worker.seen).toHaveLength(1);
  });

  test('has the answer of a pipeline too', async () => {
    const opened = open(kept, () => succeeded);
    const body = JSON.stringify({ instances: [{ length: 1, width: 2 }] });
    const ask = (): Promise<Response> =>
      opened.gateway.request('/v1/models/iris:predict', { method: 'POST', body });
    expect(await (await ask()).json()).toEqual(await (await ask()).json());
    expect(opened.runs()).toBe(1);
  });
});

test('hits and misses are in the statistics and in the metrics, and runs are those that were made', async () => {
  const model = { ...kept, metricTags: { team: 'a' } };
  const opened = open(model);
  const { gateway, metrics, queue } = opened.gateway;
  const catalogue = new ModelCatalogue();
  catalogue.replaceLocal({ models: [model, { ...iris, name: 'plain' }], routing: {} });
  const looks = new QueueLooks({ queue, catalogue, clock: systemClock });
  const firstResponses = new FirstResponses(catalogue);
  exportTritonMetrics(metrics, { catalogue, firstResponses, looks, queue });
  for (const value of [1, 1, 1, 2]) await infer(opened, value);
  await gateway.close();
  const [counted] = await queue.statistics([classOf('iris', '1')]);
  expect(counted?.counters).toMatchObject({ succeeded: 2, cacheHits: 2, cacheMisses: 2 });
  await queue.addStatistics(classOf('iris', '1'), {
    counters: { succeeded: 2, rows: 2, inferUs: 9 },
    lastAtMs: 1,
  });
  const { model_stats: stats } = (await (
    await opened.gateway.request('/v2/models/iris/stats')
  ).json()) as { model_stats: readonly unknown[] };
  expect(stats).toMatchObject([
    {
      inference_count: 2,
      inference_stats: {
        success: { count: 4 },
        compute_infer: { count: 2, ns: 9_000 },
        cache_hit: { count: 2 },
        cache_miss: { count: 2 },
      },
    },
  ]);
  const text = await metrics.text();
  expect(text).toMatch(/inferry_response_cache_requests_total\{.*result="hit".*\} 2/u);
  expect(text).toMatch(/inferry_response_cache_bytes \d{4}/u);
  const labels = 'model="iris",version="1",_team="a"';
  expect(text).toContain(`nv_inference_request_success{${labels}} 4\n`);
  expect(text).toContain(`nv_inference_request_failure{${labels},reason="OTHER"} 0\n`);
  expect(text).toContain(`nv_cache_num_hits_per_model{${labels}} 2\n`);
  expect(text).toContain(`nv_cache_num_misses_per_model{${labels}} 2\n`);
  expect(text).toMatch(/nv_cache_hit_duration_per_model\{.*\} \d/u);
  expect(text).toMatch(/nv_cache_miss_duration_per_model\{.*\} \d/u);
  // Of others there is nothing to tell.
  expect(text).toContain('nv_inference_request_success{model="plain",version="1"} 0\n');
  expect(text).not.toMatch(/nv_cache.*plain/u);
});

describe('what is kept', () => {
  const cacheOf = (bytesMax: number): ResponseCache => {
    const { metrics, queue } = open().gateway;
    const telemetry = createGatewayTelemetry(metrics);
    const statistics = new StatisticsTally(queue);
    const catalogue = { contentOf: () => 1 };
    return new ResponseCache(bytesMax, { catalogue, clock: systemClock, statistics, telemetry });
  };
  const inputOf = (value: number): JobInput => ({
    form: 'tensors',
    tensors: [{ name: 'x', datatype: 'UINT8', shape: [1], bytes: Uint8Array.of(value) }],
  });
  const output = (value: number, size = 4_000): Outcome['output'] & object => ({
    form: 'tensors',
    tensors: [
      { name: 'y', datatype: 'UINT8', shape: [size], bytes: new Uint8Array(size).fill(value) },
    ],
  });
  const put = (cache: ResponseCache, value: number, size?: number): void => {
    const look = cache.look(kept, inputOf(value), 0);
    expect(look?.output).toBeUndefined();
    cache.keep(kept, look?.key ?? '', output(value, size));
  };
  const has = (cache: ResponseCache, value: number, model = kept): boolean =>
    cache.look(model, inputOf(value), 0)?.output !== undefined;

  test('stays within its bytes: what was longest unused goes first', () => {
    const cache = cacheOf(16_000);
    for (const value of [1, 2, 3]) put(cache, value);
    expect(has(cache, 1)).toBe(true);
    put(cache, 4);
    expect([1, 2, 3, 4].map((value) => has(cache, value))).toEqual([true, false, true, true]);
    // One that is larger than all of it is not kept, and takes nothing else away.
    put(cache, 5, 17_000);
    expect([1, 3, 4, 5].map((value) => has(cache, value))).toEqual([true, true, true, false]);
    put(cache, 6, 14_000);
    expect([1, 3, 4, 6].map((value) => has(cache, value))).toEqual([false, false, false, true]);
  });

  test('is of one digest, one model and one version', () => {
    const cache = cacheOf(16_000);
    put(cache, 1);
    expect(has(cache, 1)).toBe(true);
    expect(has(cache, 1, { ...kept, digest: 'other' })).toBe(false);
    expect(has(cache, 1, { ...kept, name: 'other' })).toBe(false);
    expect(has(cache, 1, { ...kept, version: '2' })).toBe(false);
  });

  test('does not change with the memory that it came in', () => {
    const cache = cacheOf(16_000);
    const look = cache.look(kept, inputOf(1), 0);
    const given = output(9);
    cache.keep(kept, look?.key ?? '', given);
    if (given.form === 'tensors') given.tensors[0]?.bytes.fill(0);
    const found = cache.look(kept, inputOf(1), 0)?.output;
    expect(found?.form === 'tensors' && found.tensors[0]?.bytes[0]).toBe(9);
    // Documents of many small values take far more as objects than as they are counted.
    const rows = [[[], []]];
    const other = cache.look(kept, inputOf(2), 0);
    cache.keep(kept, other?.key ?? '', { form: 'rows', rows });
    rows.pop();
    expect(cache.look(kept, inputOf(2), 0)?.output).toEqual({ form: 'rows', rows: [[[], []]] });
  });
});
