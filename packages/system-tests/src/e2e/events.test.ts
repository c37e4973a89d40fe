import { rm } from 'node:fs/promises';
import { EventReader, type ReadEvent } from '@inferry/testkit';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { demoModels, ended, postJson, type RunningRole, System } from '../system.ts';
import { writeTalkingModel } from '../talking-model.ts';
import { type HandWorker, openHandWorker } from './hand-worker.ts';

const input = { sepal_length: 5, sepal_width: 3, petal_length: 1, petal_width: 0.2 };

let system: System;
let worker: HandWorker | undefined;
beforeEach(async () => {
  system = await System.open();
});
afterEach(async () => {
  await worker?.close();
  worker = undefined;
  await system.stop();
});

async function follow({ url }: RunningRole, id: string, after?: string): Promise<Response> {
  const headers = after === undefined ? {} : { 'Last-Event-ID': after };
  return fetch(`${url}/v1/jobs/${id}/events`, { headers });
}

const outputs = (events: readonly ReadEvent[]): readonly unknown[] =>
  events.filter(({ event }) => event === 'output').map(({ data }) => data['output']);

describe('events of a job', () => {
  test('go on at another gateway, from where the one that shut down ended them', async () => {
    const first = await system.start('gateway', demoModels);
    const { body, status } = await postJson(`${first.url}/v1/models/iris/jobs`, { input });
    expect(status, JSON.stringify(body)).toBe(202);
    const id = String(body['id']);
    const before = new EventReader(await follow(first, id));
    worker = await openHandWorker(system.redis.url, 'iris@1');
    const claim = await worker.claim();
    for (const [i, word] of ['one', 'two'].entries()) await worker.tell(claim, i + 1, word);
    const seen = [await before.until('output'), await before.until('output')];

    const stopping = first.process.stop();
    // Told while nobody reads.
    await worker.tell(claim, 3, 'three');
    const rest = await before.all();
    expect(before.others.at(-1)).toBe('retry: 500');
    await stopping;
    const last = [...seen, ...rest].findLast((event) => event.id !== undefined)?.id;

    const second = await system.start('gateway', demoModels);
    const after = new EventReader(await follow(second, id, last));
    expect(await after.next()).toMatchObject({ event: 'state', data: { status: 'running' } });
    await worker.tell(claim, 4, 'four');
    await worker.settle(claim, 'one two three four');
    const others = await after.all();
    expect(outputs([...seen, ...rest, ...others])).toEqual(['one', 'two', 'three', 'four']);
    expect(others.at(-1)).toMatchObject({
      event: 'done',
      id: 'done',
      data: { status: 'succeeded', output: 'one two three four' },
    });
    expect((await follow(second, id, 'done')).status).toBe(204);
  });
});

test('a submit tells the place and the end of any job, and what a processor tells of its answer', async () => {
  const models = await writeTalkingModel(5);
  try {
    const gateway = await system.start('gateway', models);
    const open = async (path: string, body: unknown): Promise<EventReader> => {
      const response = await fetch(`${gateway.url}${path}`, {
        method: 'POST',
        headers: { 'Content-Type': 'application/json', Accept: 'text/event-stream' },
        body: JSON.stringify(body),
      });
      expect(response.status).toBe(200);
      return new EventReader(response);
    };
    const post = async (path: string, body: unknown): Promise<readonly ReadEvent[]> =>
      (await open(path, body)).all();

    const ordinary = { name: 'x', shape: [1, 1], datatype: 'FP32', data: [1] };
    const reader = await open('/v1/models/step/jobs', { input: { inputs: [ordinary] } });
    expect(await reader.next()).toMatchObject({ event: 'state', data: { queue: { ahead: 0 } } });
    // Nobody serves it yet: its place is told again.
    expect(await reader.next()).toMatchObject({ event: 'queue', data: { queue: { ahead: 0 } } });
    await system.start('worker', models);
    const done = await reader.until('done');
    expect(done.data).toEqual(await ended(gateway.url, String(done.data['id'])));
    expect(done.data['status']).toBe('succeeded');
    expect(await reader.next()).toBeUndefined();

    const told = await post('/v2/models/counter/generate_stream', { until: 3 });
    expect(told.map(({ data }) => data['numbers'])).toEqual([1, 2, 3, [1, 2, 3]]);

    const tensor = { name: 'until', shape: [1], datatype: 'INT64', data: [2] };
    const events = await post('/v1/models/counter/jobs', { input: { inputs: [tensor] } });
    const numbers = (data: readonly number[]) => ({
      outputs: [{ name: 'numbers', datatype: 'INT64', shape: [data.length], data }],
    });
    expect(outputs(events)).toEqual([numbers([1]), numbers([2])]);
    expect(events.at(-1)).toMatchObject({
      event: 'done',
      data: { status: 'succeeded', output: numbers([1, 2]) },
    });

    const many = await post('/v2/models/counter/generate_stream', { until: 600 });
    expect(many).toHaveLength(513);
    expect(many.at(-1)?.data['error']).toContain('512 partial outputs');
  } finally {
    await rm(models, { recursive: true });
  }
});
