/** Statistics of models over HTTP and gRPC, from what the processes of a queue counted. */
import { classOf } from '@inferry/contracts';
import { wireMethods } from '@inferry/protocols';
import { expect, test } from 'vitest';

import { testGateway } from './gateway-fixture.test.ts';
import { field, openGrpc } from './grpc/grpc-fixture.test.ts';

const iris = classOf('iris', '1');
const counted = {
  counters: {
    succeeded: 3,
    rows: 5,
    wholeUs: 70,
    queueUs: 10,
    inputUs: 11,
    inferUs: 30,
    outputUs: 12,
    runs: 2,
    rejectedJobs: 1,
    canceledJobs: 1,
    backendJobs: 1,
    backendUs: 9,
    '1:runs': 1,
    '1:inferUs': 4,
    '4:runs': 1,
    '4:inputUs': 5,
    '4:inferUs': 6,
    '4:outputUs': 7,
  },
  lastAtMs: 1_763_000_000_123,
} as const;
const none = { count: 0, ns: 0 };
const told = {
  name: 'iris',
  version: '1',
  last_inference: 1_763_000_000_123,
  inference_count: 5,
  execution_count: 2,
  inference_stats: {
    success: { count: 3, ns: 70_000 },
    fail: { count: 3, ns: 9_000 },
    queue: { count: 3, ns: 10_000 },
    compute_input: { count: 3, ns: 11_000 },
    compute_infer: { count: 3, ns: 30_000 },
    compute_output: { count: 3, ns: 12_000 },
    cache_hit: none,
    cache_miss: none,
  },
  batch_stats: [
    {
      batch_size: 1,
      compute_input: { count: 1, ns: 0 },
      compute_infer: { count: 1, ns: 4_000 },
      compute_output: { count: 1, ns: 0 },
    },
    {
      batch_size: 4,
      compute_input: { count: 1, ns: 5_000 },
      compute_infer: { count: 1, ns: 6_000 },
      compute_output: { count: 1, ns: 7_000 },
    },
  ],
};

test('HTTP tells them of a version, of a model and of all, also where nothing ran', async () => {
  const gateway = testGateway();
  await gateway.queue.addStatistics(iris, counted);
  const read = async (path: string): Promise<unknown> => (await gateway.request(path)).json();
  for (const path of ['/v2/models/iris/versions/1/stats', '/v2/models/iris/stats']) {
    expect(await read(path)).toMatchObject({ model_stats: [told] });
  }
  expect(await read('/v2/models/stats')).toMatchObject({
    model_stats: [
      {
        name: 'digits',
        last_inference: 0,
        inference_count: 0,
        execution_count: 0,
        inference_stats: { success: none, fail: none, queue: none, cache_miss: none },
        batch_stats: [],
      },
      told,
    ],
  });
  for (const path of ['/v2/models/nobody/stats', '/v2/models/iris/versions/7/stats']) {
    expect((await gateway.request(path)).status).toBe(404);
  }
  gateway.queue.statistics = () => Promise.reject(new Error('away'));
  const away = await gateway.request('/v2/models/iris/stats');
  expect(away.status).toBe(503);
  expect(await away.json()).toMatchObject({ code: 'queue_unavailable' });
  await gateway.close();
});

test('a job that is canceled is a failure, once the gateway has added what it counted', async () => {
  const gateway = testGateway();
  await gateway.gateway.listen({ host: '127.0.0.1', port: 0 });
  const body = '{"input":{"length":1,"width":2}}';
  const headers = { 'Content-Type': 'application/json' };
  const submit = { method: 'POST', body, headers };
  const submitted = await gateway.request('/v1/models/iris/jobs', submit);
  const cancel = `${submitted.headers.get('location')}/cancel`;
  for (let i = 0; i < 2; i += 1) await gateway.request(cancel, { method: 'POST' });
  await gateway.gateway.close();
  expect(await gateway.queue.statistics([iris])).toEqual([
    { counters: { canceledJobs: 1 }, lastAtMs: 0 },
  ]);
  await gateway.close();
});

test('gRPC tells the same', async () => {
  const fixture = await openGrpc();
  await fixture.queue.addStatistics(iris, counted);
  const method = wireMethods().find(({ name }) => name === 'ModelStatistics');
  const asked = await fixture.call('ModelStatistics', field(1, 'iris'));
  expect(asked.error).toBeNull();
  expect([...(asked.answer ?? [])]).toEqual([...(method?.write({ model_stats: [told] }) ?? [])]);
  expect((await fixture.call('ModelStatistics', Buffer.alloc(0))).answer?.length).toBeGreaterThan(
    asked.answer?.length ?? 0,
  );
});
