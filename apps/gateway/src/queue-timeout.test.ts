/** A model may bound the time that its jobs wait before they begin; a caller may only ask for less. */
import { expect, test } from 'vitest';

import { startWorker, testGateway } from './gateway-fixture.test.ts';
import { iris } from './models-fixture.test.ts';

test.each([
  [{}, 1_500],
  [{ queue_timeout_ms: 900 }, 900],
  [{ queue_timeout_ms: 9_000 }, 1_500],
  [{ deadline_ms: 700 }, 700],
])('a job submitted with %j must begin within %d ms', async (options, expected) => {
  const gateway = testGateway({}, { models: [{ ...iris, queueTimeoutMs: 1_500 }] });
  const worker = startWorker(gateway.queue);
  await gateway.request('/v1/models/iris/jobs', {
    method: 'POST',
    headers: { 'Content-Type': 'application/json', Prefer: 'wait=5' },
    body: JSON.stringify({ input: { length: 1, width: 2 }, ...options }),
  });
  await worker.stop();
  await gateway.close();
  expect(worker.seen.map(({ claim }) => claim.job.queueTimeoutMs)).toEqual([expected]);
});

test('each priority may have a time of its own', async () => {
  const queueTimeoutsMs = { high: 200, low: null };
  const gateway = testGateway(
    {},
    { models: [{ ...iris, queueTimeoutMs: 1_500, queueTimeoutsMs }], tenants: new Map([['a', 1]]) },
  );
  const worker = startWorker(gateway.queue);
  for (const priority of ['high', 'normal', 'low']) {
    await gateway.request('/v1/models/iris/jobs', {
      method: 'POST',
      headers: { 'Content-Type': 'application/json', Prefer: 'wait=5' },
      body: JSON.stringify({ input: { length: 1, width: 2 }, priority }),
    });
  }
  await worker.stop();
  await gateway.close();
  const told = worker.seen.map(({ claim }) => claim.job.queueTimeoutMs);
  expect(told).toEqual([200, 1_500, iris.timeoutMs]);
});
