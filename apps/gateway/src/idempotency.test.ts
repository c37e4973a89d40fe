import type { Result } from '@inferry/runtime';
import type { EnqueueRefusal, JobQueue } from '@inferry/queue';
import { failure } from '@inferry/contracts';
import { err, ok } from '@inferry/runtime';
import { afterEach, beforeEach, expect, test } from 'vitest';

import {
  startWorker,
  type TestGateway,
  testGateway,
  type TestWorker,
} from './gateway-fixture.test.ts';

let gateway: TestGateway;
let worker: TestWorker | undefined;

beforeEach(() => {
  gateway = testGateway();
});
afterEach(async () => {
  await worker?.stop();
  worker = undefined;
  await gateway.close();
});

interface Seen {
  readonly status: number;
  readonly id: string | null;
  readonly code: unknown;
  readonly isReplay: boolean;
}

async function submit(
  key: string,
  body = '{"input":{"length":1,"width":2}}',
  headers = {},
): Promise<Seen> {
  const response = await gateway.request('/v1/models/iris/jobs', {
    method: 'POST',
    body,
    headers: { 'Content-Type': 'application/json', 'Idempotency-Key': key, ...headers },
  });
  const document = (await response.json()) as Record<string, unknown>;
  return {
    status: response.status,
    id: response.headers.get('job-id'),
    code: document['code'],
    isReplay: response.headers.get('idempotency-replayed') === 'true',
  };
}

/** Makes enqueue do something else once. */
function onNextEnqueue(
  queue: JobQueue,
  act: (enqueue: JobQueue['enqueue']) => JobQueue['enqueue'],
): void {
  const original = queue.enqueue.bind(queue);
  queue.enqueue = (...given) => {
    queue.enqueue = original;
    return act(original)(...given);
  };
}

test('the same request again is answered with the same job', async () => {
  const first = await submit('k');
  expect(first).toMatchObject({ status: 202, isReplay: false });
  expect(await submit('k')).toEqual({ ...first, isReplay: true });
  expect(await submit('"k"')).toEqual({ ...first, isReplay: true });
  expect((await submit('other')).id).not.toBe(first.id);
});

test('a replay may wait where the first did not, and gets the outcome', async () => {
  const first = await submit('k');
  worker = startWorker(gateway.queue);
  expect(await submit('k', undefined, { Prefer: 'wait=5' })).toEqual({
    ...first,
    status: 200,
    isReplay: true,
  });
});

test('another request with the same key is refused', async () => {
  await submit('k');
  const other = await submit('k', '{"input":{"length":1,"width":3}}');
  expect(other).toMatchObject({ status: 422, code: 'idempotency_key_reused' });
  const sooner = await submit('k', undefined, { 'Cancel-After': '5s' });
  expect(sooner).toMatchObject({ status: 422, code: 'idempotency_key_reused' });
});

test('a thousand at once make one job', async () => {
  worker = startWorker(gateway.queue);
  const all = await Promise.all(Array.from({ length: 1000 }, () => submit('k')));
  expect(new Set(all.map(({ id }) => id)).size).toBe(1);
  expect(all.filter(({ isReplay }) => !isReplay)).toHaveLength(1);
  await gateway.request(`/v1/jobs/${all[0]?.id ?? ''}?wait=5`);
  expect(worker.seen).toHaveLength(1);
});

test('a refused submit frees its key', async () => {
  expect(await submit('k', '{"input":{}}')).toMatchObject({ status: 422, code: 'invalid_input' });
  expect(await submit('k')).toMatchObject({ status: 202, isReplay: false });
});

test('the key of a job that was removed makes no second job', async () => {
  const { id } = await submit('k');
  await gateway.request(`/v1/jobs/${id ?? ''}/cancel`, { method: 'POST' });
  await gateway.request(`/v1/jobs/${id ?? ''}`, { method: 'DELETE' });
  expect(await submit('k')).toMatchObject({ status: 410, code: 'job_gone' });
});

test('a key whose request never reached the queue is told to be in progress, and then completed', async () => {
  const unavailable: Result<never, EnqueueRefusal> = err({
    ...failure('queue_unavailable', 'away', { retryAfterMs: 1 }),
    code: 'queue_unavailable',
  });
  onNextEnqueue(gateway.queue, () => () => Promise.resolve(unavailable));
  expect(await submit('k')).toMatchObject({ status: 503, code: 'queue_unavailable' });
  expect(await submit('k')).toMatchObject({ status: 409, code: 'idempotency_in_progress' });
  expect(await submit('k')).toMatchObject({ status: 202, isReplay: false });
  expect(await submit('k')).toMatchObject({ status: 202, isReplay: true });
});

test('a job that was stored although the queue seemed away is found by the next try', async () => {
  onNextEnqueue(gateway.queue, (enqueue) => async (...given) => {
    await enqueue(...given);
    return err({ ...failure('queue_unavailable', 'away'), code: 'queue_unavailable' });
  });
  expect(await submit('k')).toMatchObject({ status: 503 });
  expect(await submit('k')).toMatchObject({ status: 202, isReplay: true });
});

test('a job that was stored and cannot be found yet stays the one of its key, also when the next try is refused', async () => {
  const { queue } = gateway;
  const find = queue.find.bind(queue);
  queue.find = () => Promise.resolve(ok({ found: 'never' }));
  const ids: string[] = [];
  onNextEnqueue(queue, (enqueue) => async (...given) => {
    await enqueue(...given);
    ids.push(given[0].id);
    return err({ ...failure('queue_unavailable', 'away'), code: 'queue_unavailable' });
  });
  expect(await submit('k')).toMatchObject({ status: 503, code: 'queue_unavailable' });
  expect(await submit('k')).toMatchObject({ status: 409, code: 'idempotency_in_progress' });
  const late: Result<never, EnqueueRefusal> = err({
    ...failure('deadline_infeasible', 'late'),
    code: 'deadline_infeasible',
  });
  onNextEnqueue(queue, () => () => Promise.resolve(late));
  expect(await submit('k')).toMatchObject({ status: 503, code: 'deadline_infeasible' });
  queue.find = find;
  expect(await submit('k')).toMatchObject({ status: 202, id: ids[0], isReplay: true });
});
