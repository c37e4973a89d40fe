import type { ServerResponse } from 'node:http';

import { classOf, type JobOutput } from '@inferry/contracts';
import type { Claim } from '@inferry/queue';
import { EventReader, type ReadEvent, waitFor } from '@inferry/testkit';
import { afterEach, describe, expect, test } from 'vitest';

import {
  claimRequest,
  startWorker,
  succeeded,
  type TestGateway,
  testGateway,
} from '../gateway-fixture.test.ts';

const cls = classOf('iris', '1');
const body = '{"input":{"length":1,"width":2}}';
const json = { 'Content-Type': 'application/json' };
const events = { ...json, Accept: 'text/event-stream' };

let fixture: TestGateway | undefined;
function open(limits: Parameters<typeof testGateway>[0] = {}): TestGateway {
  fixture = testGateway(limits);
  return fixture;
}
afterEach(async () => {
  await fixture?.close();
  fixture = undefined;
});

async function submit(gateway: TestGateway): Promise<string> {
  const answer = await gateway.request('/v1/models/iris/jobs', {
    method: 'POST',
    body,
    headers: json,
  });
  return ((await answer.json()) as { id: string }).id;
}

async function follow(gateway: TestGateway, id: string, after?: string): Promise<EventReader> {
  const headers = after === undefined ? {} : { 'Last-Event-ID': after };
  return new EventReader(await gateway.request(`/v1/jobs/${id}/events`, { headers }));
}

async function claim({ queue }: TestGateway): Promise<Claim> {
  const { claims } = await queue.claim(cls, claimRequest);
  return claims[0]!;
}

const word = (text: string): JobOutput => ({ form: 'rows', rows: [text] });
const named = (read: readonly ReadEvent[]) =>
  read.map(({ data, event }) => [event, data['output'] ?? data['status']]);

describe('events of a job', () => {
  test('tell its states, what it tells of its answer, and its end as GET answers it', async () => {
    const gateway = open();
    const id = await submit(gateway);
    const reader = await follow(gateway, id);
    expect(await reader.next()).toMatchObject({
      event: 'state',
      data: { id, status: 'queued', done: false, queue: { ahead: 0 } },
    });
    const held = await claim(gateway);
    expect(await reader.next()).toMatchObject({
      event: 'state',
      data: { status: 'running', attempt: 1 },
    });
    await gateway.queue.partials.emit(cls, held, 1, word('a'));
    expect(await reader.next()).toEqual({
      event: 'output',
      id: '1-1',
      data: { index: 0, output: 'a' },
    });
    await gateway.queue.partials.emit(cls, held, 2, word('b'));
    await gateway.queue.settle(cls, [{ claim: held, outcome: succeeded }]);
    expect(await reader.next()).toEqual({
      event: 'output',
      id: '1-2',
      data: { index: 1, output: 'b' },
    });
    const done = await reader.next();
    const answer = await gateway.request(`/v1/jobs/${id}`);
    expect(done).toEqual({ event: 'done', id: 'done', data: await answer.json() });
    expect(await reader.next()).toBeUndefined();
    expect(reader.others).toEqual(['retry: 2000']);
  });

  test('of one that has ended are what it told, and its end', async () => {
    const gateway = open();
    const id = await submit(gateway);
    const held = await claim(gateway);
    await gateway.queue.partials.emit(cls, held, 1, word('a'));
    await gateway.queue.settle(cls, [{ claim: held, outcome: succeeded }]);
    const all = await (await follow(gateway, id)).all();
    expect(named(all)).toEqual([
      ['output', 'a'],
      ['done', { label: '7' }],
    ]);
  });

  test('go on from the id that the caller has seen, and stop after the last', async () => {
    const gateway = open();
    const id = await submit(gateway);
    const held = await claim(gateway);
    for (const [i, text] of ['a', 'b', 'c'].entries()) {
      await gateway.queue.partials.emit(cls, held, i + 1, word(text));
    }
    const first = await follow(gateway, id);
    await first.until('output');
    await first.cancel();
    const second = await follow(gateway, id, '1-1');
    expect((await second.until('output')).data).toEqual({ index: 1, output: 'b' });
    await second.cancel();
    await gateway.queue.settle(cls, [{ claim: held, outcome: succeeded }]);
    const answer = await gateway.request(`/v1/jobs/${id}/events?after=1-2`);
    expect(named(await new EventReader(answer).all())).toEqual([
      ['output', 'c'],
      ['done', { label: '7' }],
    ]);
    const over = await gateway.request(`/v1/jobs/${id}/events`, {
      headers: { 'Last-Event-ID': 'done' },
    });
    expect(over.status).toBe(204);
  });

  test('begin anew, and say so, when the job was started anew', async () => {
    const gateway = open();
    const id = await submit(gateway);
    const reader = await follow(gateway, id);
    const lost = await claim(gateway);
    await gateway.queue.partials.emit(cls, lost, 1, word('old'));
    await reader.until('output');
    await gateway.queue.giveBack(cls, [lost], true);
    const held = await claim(gateway);
    await gateway.queue.partials.emit(cls, held, 1, word('new'));
    expect(await reader.until('reset')).toMatchObject({ data: { id, attempt: 2 } });
    expect((await reader.until('output')).data).toEqual({ index: 0, output: 'new' });
    await reader.cancel();
  });

  test('of a removed job end with an error', async () => {
    const gateway = open();
    const id = await submit(gateway);
    const held = await claim(gateway);
    const reader = await follow(gateway, id);
    await reader.until('state');
    // Both before the stream has looked.
    await Promise.all([
      gateway.queue.settle(cls, [{ claim: held, outcome: succeeded }]),
      gateway.queue.erase(held.job.id),
    ]);
    const [last] = (await reader.all()).slice(-1);
    expect(last).toMatchObject({ event: 'error', data: { code: 'job_gone' } });
  });

  test('of an unknown job, or from an id that is none, are refused', async () => {
    const gateway = open();
    const id = await submit(gateway);
    const unknown = await gateway.request(`/v1/jobs/job_${'0'.repeat(26)}/events`);
    expect(unknown.status).toBe(404);
    const query = await gateway.request(`/v1/jobs/${id}/events?after=x`);
    expect(await query.json()).toMatchObject({ code: 'invalid_query' });
    const header = await gateway.request(`/v1/jobs/${id}/events`, {
      headers: { 'Last-Event-ID': 'x' },
    });
    expect(await header.json()).toMatchObject({ code: 'invalid_header' });
  });

  test('a HEAD of them takes no place', async () => {
    const gateway = open({ eventStreamsMax: 1 });
    const id = await submit(gateway);
    for (let i = 0; i < 2; i += 1) {
      const answer = await gateway.request(`/v1/jobs/${id}/events`, { method: 'HEAD' });
      expect(answer.status).toBe(200);
    }
  });
});

describe('a stream', () => {
  test('beyond their limit is refused, and one that was left gives its place up', async () => {
    const gateway = open({ eventStreamsMax: 1 });
    const id = await submit(gateway);
    const first = await follow(gateway, id);
    const refused = await gateway.request(`/v1/jobs/${id}/events`);
    expect(refused.status).toBe(503);
    expect(await refused.json()).toMatchObject({
      code: 'queue_full',
      detail: expect.stringContaining('1 event streams') as string,
    });
    await first.cancel();
    await waitFor(async () => (await gateway.request(`/v1/jobs/${id}/events`)).status === 200, {
      timeoutMs: 5_000,
    });
  });

  test('gives signs of life', async () => {
    const gateway = open({ streamPingMs: 5 });
    const id = await submit(gateway);
    const reader = await follow(gateway, id);
    await reader.until('state');
    const next = reader.next();
    await waitFor(() => reader.others.includes(': ping'), { timeoutMs: 5_000 });
    await reader.cancel();
    await next;
  });

  test('ends when it has its age, and its caller goes on in another', async () => {
    const gateway = open({ streamAgeMsMax: 20 });
    const id = await submit(gateway);
    const all = await (await follow(gateway, id)).all();
    expect(named(all)).toEqual([['state', 'queued']]);
  });

  test('ends on a drain, which tells its caller to come back soon and waits for it', async () => {
    const gateway = open();
    const id = await submit(gateway);
    const reader = await follow(gateway, id);
    await reader.until('state');
    const drained = gateway.gateway.drain();
    expect(await reader.all()).toEqual([]);
    expect(reader.others.at(-1)).toBe('retry: 500');
    await drained;
    // Who comes back here meanwhile is sent on in the same way.
    const again = await follow(gateway, id);
    expect(await again.all()).toEqual([]);
    expect(again.others.at(-1)).toBe('retry: 500');
  });

  test('whose caller reads slowly, but reads, is not cut off', async () => {
    const gateway = open({ streamBufferBytesMax: 1_000, streamStallMsMax: 250 });
    const id = await submit(gateway);
    const held = await claim(gateway);
    const size = 1_000_000;
    for (const number of [1, 2]) {
      await gateway.queue.partials.emit(cls, held, number, word('y'.repeat(size)));
    }
    const answer = await gateway.request(`/v1/jobs/${id}/events`);
    const reader = answer.body!.getReader();
    // A part takes twice as long as nothing may be read.
    for (let bytes = 0; bytes < 2 * size;) {
      const { value } = await reader.read();
      bytes += value!.length;
      await new Promise((resolve) => setTimeout(resolve, (value!.length / size) * 500));
    }
    await reader.cancel();
  });

  test('whose caller reads nothing is cut off', async () => {
    const gateway = open({ streamBufferBytesMax: 1_000, streamStallMsMax: 20, eventStreamsMax: 1 });
    const id = await submit(gateway);
    const held = await claim(gateway);
    for (let number = 1; number <= 20; number += 1) {
      await gateway.queue.partials.emit(cls, held, number, word('y'.repeat(1_000)));
    }
    const reader = await follow(gateway, id);
    await waitFor(async () => (await gateway.request(`/v1/jobs/${id}/events`)).status === 200, {
      timeoutMs: 5_000,
    });
    await expect(reader.all()).rejects.toThrow('cut off');
    // On a connection that is what is cut.
    let isCut = false;
    const outgoing = { destroy: () => (isCut = true) } as unknown as ServerResponse;
    const { app } = gateway.gateway;
    const follows = async (): Promise<number> =>
      (await app.request(`/v1/jobs/${id}/events`, {}, { outgoing })).status;
    await waitFor(async () => (await follows()) === 200, { timeoutMs: 5_000 });
    await waitFor(() => isCut, { timeoutMs: 5_000 });
  });
});

describe('a submit that asks for events', () => {
  test('is answered with those of its job', async () => {
    const gateway = open();
    const worker = startWorker(gateway.queue);
    const answer = await gateway.request('/v1/models/iris/jobs', {
      method: 'POST',
      body,
      headers: events,
    });
    expect(answer.status).toBe(200);
    expect(answer.headers.get('content-type')).toBe('text/event-stream');
    expect(answer.headers.get('cache-control')).toBe('no-store, no-transform');
    const all = await new EventReader(answer).all();
    const id = answer.headers.get('job-id');
    expect(answer.headers.get('location')).toBe(`/v1/jobs/${id}`);
    expect(all[0]).toMatchObject({ event: 'state', data: { id, status: 'queued' } });
    expect(all.at(-1)).toMatchObject({ event: 'done', data: { id, status: 'succeeded' } });
    await worker.stop();
  });

  test('without a place for a stream makes no job', async () => {
    const gateway = open({ eventStreamsMax: 1 });
    const first = await gateway.request('/v1/models/iris/jobs', {
      method: 'POST',
      body,
      headers: events,
    });
    const refused = await gateway.request('/v1/models/iris/jobs', {
      method: 'POST',
      body,
      headers: events,
    });
    expect(refused.status).toBe(503);
    expect((await gateway.queue.stats([cls]))[0]).toMatchObject({ waiting: 1 });
    await new EventReader(first).cancel();
  });

  test('that is refused gives its place up', async () => {
    const gateway = open({ eventStreamsMax: 1 });
    for (let i = 0; i < 2; i += 1) {
      const refused = await gateway.request('/v1/models/iris/jobs', {
        method: 'POST',
        body: '{',
        headers: events,
      });
      expect(refused.status).toBe(400);
    }
  });

  test('again with its key is answered with the events of the same job', async () => {
    const gateway = open();
    const headers = { ...events, 'Idempotency-Key': 'k1' };
    const first = await gateway.request('/v1/jobs', {
      method: 'POST',
      body: body.replace('{', '{"model":"iris",'),
      headers,
    });
    await new EventReader(first).cancel();
    const worker = startWorker(gateway.queue);
    const again = await gateway.request('/v1/jobs', {
      method: 'POST',
      body: body.replace('{', '{"model":"iris",'),
      headers,
    });
    expect(again.headers.get('idempotency-replayed')).toBe('true');
    expect((await new EventReader(again).until('done')).data['id']).toBe(
      first.headers.get('job-id'),
    );
    await worker.stop();
    expect(worker.seen).toHaveLength(1);
  });
});
