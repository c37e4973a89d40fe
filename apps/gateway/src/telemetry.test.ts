import { ok } from '@inferry/runtime';
import { parseExposition } from '@inferry/telemetry';
import { afterEach, expect, test } from 'vitest';

import { startWorker, type TestGateway, testGateway } from './gateway-fixture.test.ts';

let gateway: TestGateway;
let close: (() => Promise<void>) | undefined;
afterEach(async () => {
  await close?.();
  close = undefined;
});

function open(...args: Parameters<typeof testGateway>): void {
  gateway = testGateway(...args);
  close = () => gateway.close();
}

async function value(series: string): Promise<number | undefined> {
  return parseExposition(await gateway.metrics.text()).get(`inferry_${series}`);
}

function submission(more: object = {}, headers: Record<string, string> = {}): RequestInit {
  return {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify({ input: { length: 1, width: 2 }, ...more }),
  };
}

const tensors = JSON.stringify({
  inputs: [{ name: 'features', shape: [1, 2], datatype: 'FP32', data: [1, 2] }],
});

test('from outcome to answer is measured for each answer that an outcome was waited for, and for no other', async () => {
  open();
  const delivered = 'deliver_duration_seconds_count{model="iris"}';
  const { port } = await gateway.gateway.listen({ host: '127.0.0.1', port: 0 });
  const url = `http://127.0.0.1:${port}`;
  const submit = `${url}/v1/models/iris/jobs`;
  const waiting = (await (await fetch(submit, submission())).json()) as { id: string };
  expect(await value(delivered)).toBe(0);
  const read = fetch(`${url}/v1/jobs/${waiting.id}?wait=5`);
  await expect.poll(() => value('result_waiters')).toBe(1);
  const worker = startWorker(gateway.queue);
  expect((await read).status).toBe(200);
  await expect.poll(() => value(delivered)).toBe(1);
  expect((await fetch(submit, submission({}, { prefer: 'wait=5' }))).status).toBe(200);
  await expect.poll(() => value(delivered)).toBe(2);
  // It has ended already: nothing was waited for.
  await fetch(`${url}/v1/jobs/${waiting.id}?wait=5`);
  await worker.stop();
  expect(await value(delivered)).toBe(2);
  const sum = await value('deliver_duration_seconds_sum{model="iris"}');
  expect(sum).toBeGreaterThan(0);
});

test('a caller that went away is not delivered to', async () => {
  open();
  const { port } = await gateway.gateway.listen({ host: '127.0.0.1', port: 0 });
  const away = new AbortController();
  const asked = fetch(`http://127.0.0.1:${port}/v1/models/iris/jobs`, {
    ...submission({}, { prefer: 'wait=5' }),
    signal: away.signal,
  }).catch(() => 'gone');
  await expect.poll(() => value('result_waiters')).toBe(1);
  away.abort();
  expect(await asked).toBe('gone');
  await expect.poll(() => value('result_waiters')).toBe(0);
  const worker = startWorker(gateway.queue);
  await expect.poll(() => worker.seen.length).toBe(1);
  await worker.stop();
  expect(await value('deliver_duration_seconds_count{model="iris"}')).toBe(0);
});

test('a refusal counts under the priority that was asked for; before it was read, as normal', async () => {
  const tenants = new Map([['default', 1]]);
  open({ queueDepthPerClassMax: 1 }, { tenants });
  const rejected = (priority: string): Promise<number | undefined> =>
    value(`requests_total{model="iris",priority="${priority}",outcome="rejected"}`);
  const path = '/v1/models/iris/jobs';
  expect((await gateway.request(path, submission({ priority: 'low' }))).status).toBe(202);
  expect((await gateway.request(path, submission({ priority: 'high' }))).status).toBe(503);
  expect([await rejected('high'), await rejected('normal')]).toEqual([1, 0]);
  const drained = gateway.gateway.drain();
  expect((await gateway.request(path, submission({ priority: 'high' }))).status).toBe(503);
  await drained;
  expect([await rejected('high'), await rejected('normal')]).toEqual([1, 1]);
});

test('a refusal counts for the model that the body names', async () => {
  open({ queueDepthPerClassMax: 1 });
  const work = submission({ model: 'iris' });
  expect((await gateway.request('/v1/jobs', work)).status).toBe(202);
  expect((await gateway.request('/v1/jobs', work)).status).toBe(503);
  const refused = 'admission_total{model="iris",decision="rejected",reason="queue_full"}';
  expect(await value(refused)).toBe(1);
});

test('a job whose time is over is counted when a look at it ends it, and once', async () => {
  open({}, { tenants: new Map([['default', 1]]) });
  const path = '/v1/models/iris/jobs';
  const work = submission({ priority: 'low', deadline_ms: 20 });
  const { id } = (await (await gateway.request(path, work)).json()) as { id: string };
  const status = async (): Promise<unknown> =>
    ((await (await gateway.request(`/v1/jobs/${id}`)).json()) as { status: unknown }).status;
  await expect.poll(status).toBe('expired');
  expect(await status()).toBe('expired');
  const expired = 'requests_total{model="iris",priority="low",outcome="expired"}';
  expect(await value(expired)).toBe(1);
});

test('a job that several cancel at once is counted once', async () => {
  open();
  const submitted = await gateway.request('/v1/models/iris/jobs', submission());
  const { id } = (await submitted.json()) as { id: string };
  const cancels = [1, 2, 3].map(() => gateway.request(`/v1/jobs/${id}/cancel`, { method: 'POST' }));
  expect((await Promise.all(cancels)).map(({ status }) => status)).toEqual([200, 200, 200]);
  const canceled = 'requests_total{model="iris",priority="normal",outcome="canceled"}';
  expect(await value(canceled)).toBe(1);
});

test('a job that is given up because the server shuts down counts against the server', async () => {
  open({ drainMs: 50 });
  const asked = gateway.request('/v2/models/iris/infer', {
    method: 'POST',
    body: tensors,
  });
  await expect.poll(() => value('result_waiters')).toBe(1);
  await gateway.gateway.drain();
  expect((await asked).status).toBe(503);
  const outcome = (name: string): Promise<number | undefined> =>
    value(`requests_total{model="iris",priority="normal",outcome="${name}"}`);
  expect([await outcome('rejected'), await outcome('canceled')]).toEqual([1, 0]);
});

test('work over which this gateway breaks is counted as refused', async () => {
  open();
  gateway.queue.enqueue = () => Promise.reject(new Error('a bug'));
  const rejected = 'requests_total{model="iris",priority="normal",outcome="rejected"}';
  expect((await gateway.request('/v1/models/iris/jobs', submission())).status).toBe(500);
  expect(await value(rejected)).toBe(1);
  const asked = { method: 'POST', body: tensors };
  expect((await gateway.request('/v2/models/iris/infer', asked)).status).toBe(500);
  expect(await value(rejected)).toBe(2);
});

test('a repeated request does not count beside the first', async () => {
  open();
  const path = '/v1/models/iris/jobs';
  const keyed = submission({}, { 'idempotency-key': 'a' });
  expect((await gateway.request(path, keyed)).status).toBe(202);
  expect((await gateway.request(path, keyed)).status).toBe(202);
  // Nor does one whose job an earlier try has added, without hearing of it.
  const enqueue = gateway.queue.enqueue.bind(gateway.queue);
  gateway.queue.enqueue = async (...given) => {
    const added = await enqueue(...given);
    return added.ok ? ok({ ...added.value, isDuplicate: true }) : added;
  };
  expect((await gateway.request(path, submission())).status).toBe(202);
  // The first with this key stays about to be accepted.
  gateway.queue.keys.reserve = async (_key, fingerprint, id) =>
    ok({
      isNew: false,
      binding: { id, fingerprint, isConfirmed: false, reservedAtMs: Date.now() },
    });
  const again = submission({}, { 'idempotency-key': 'b' });
  expect((await gateway.request(path, again)).status).toBe(409);
  expect(await value('admission_total{model="iris",decision="accepted",reason="none"}')).toBe(1);
  const rejected = 'requests_total{model="iris",priority="normal",outcome="rejected"}';
  expect(await value(rejected)).toBe(0);
});
