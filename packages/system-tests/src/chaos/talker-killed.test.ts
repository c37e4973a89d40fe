/** kill -9 of a worker that has told a part of an answer: its caller is told that the part is void, and all of them anew. */
import { rm } from 'node:fs/promises';
import { EventReader } from '@inferry/testkit';
import { expect, test } from 'vitest';
import { killForGood } from '../e2e/slow-jobs.ts';
import { System } from '../system.ts';
import { writeTalkingModel } from '../talking-model.ts';

test('a job whose worker is killed while it tells its answer tells it anew, after a reset', async () => {
  const models = await writeTalkingModel(500);
  const system = await System.open({}, { INFERRY_LEASE_MS: '1500' });
  try {
    const [gateway, victim] = await Promise.all([
      system.start('gateway', models),
      system.start('worker', models),
    ]);
    const tensor = { name: 'until', shape: [1], datatype: 'INT64', data: [3] };
    const response = await fetch(`${gateway.url}/v1/models/counter/jobs`, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json', Accept: 'text/event-stream' },
      body: JSON.stringify({ input: { inputs: [tensor] } }),
    });
    const reader = new EventReader(response);
    await reader.until('output');
    killForGood(victim);
    await system.start('worker', models);
    expect((await reader.until('reset')).data['attempt']).toBeGreaterThan(1);
    const rest = await reader.all();
    // On a slow machine the second worker may lose it too.
    const last = rest.slice(rest.findLastIndex(({ event }) => event === 'reset') + 1);
    const outputs = last.filter(({ event }) => event === 'output');
    expect(outputs.map(({ data }) => data['index'])).toEqual([0, 1, 2]);
    expect(new Set(outputs.map(({ id }) => id?.split('-')[0])).size).toBe(1);
    expect(rest.at(-1)).toMatchObject({ event: 'done', data: { status: 'succeeded' } });
  } finally {
    await system.stop();
    await rm(models, { recursive: true });
  }
});
