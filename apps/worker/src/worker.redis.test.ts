/** The worker on the durable queue: payloads are fetched by the threads, draining leaves nothing behind. */
import { randomBytes } from 'node:crypto';
import { createBullmqQueue, type JobQueue } from '@inferry/queue';
import { systemClock } from '@inferry/runtime';
import { type RedisServer, startRedisServer, waitFor } from '@inferry/testkit';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { answerOf, type Fixture, fixtureOn, modelManifest } from './worker.fixture.ts';

let redis: RedisServer;
beforeAll(async () => {
  redis = await startRedisServer();
});
afterAll(async () => {
  await redis[Symbol.asyncDispose]();
});

const opened: { readonly queue: JobQueue; readonly fixture: Fixture<typeof systemClock> }[] = [];
afterEach(async () => {
  for (const { queue, fixture } of opened.splice(0)) {
    await fixture.worker.close();
    await queue.close();
  }
});

const simulated = { runMs: 5, rowMs: 0, failOn: null, hangOn: null, crashOn: null };
const manifest = { ...modelManifest, maxBatchSize: 2_048, simulated };

async function started(): Promise<Fixture<typeof systemClock>> {
  const connection = { url: redis.url, prefix: `t${randomBytes(4).toString('hex')}` };
  const queue = createBullmqQueue({ ...connection, clock: systemClock, processId: 'p1' });
  await waitFor(async () => (await queue.ping()) !== undefined);
  const fixture = fixtureOn({
    clock: systemClock,
    manifests: [manifest],
    queue,
    deps: { preparationThreads: 2, payloadReaderOptions: connection },
  });
  opened.push({ queue, fixture });
  expect((await fixture.worker.start()).ok).toBe(true);
  return fixture;
}

/** Alternately payloads that travel with their jobs and payloads that are stored apart. */
async function answers({ submit, queue }: Fixture<typeof systemClock>, jobs: number) {
  const ids = await Promise.all(
    Array.from({ length: jobs }, (_, i) => submit(i, { rows: i % 2 === 0 ? 1 : 1_000 })),
  );
  const ends = ids.map((id) => queue.outcome(id, AbortSignal.timeout(20_000)));
  return (await Promise.all(ends)).map((record) => record && answerOf(record));
}

describe('on the durable queue', () => {
  test('payloads inline and apart are served alike, and stages add up', async () => {
    const fixture = await started();
    const values = Array.from({ length: 60 }, (_, i) => i);
    expect(await answers(fixture, values.length)).toEqual(values);
    await waitFor(() => fixture.countOf('endToEnd') === values.length);
    const sumOf = (name: string, index: number): number =>
      fixture.events
        .filter((event) => event.name === name)
        .reduce((sum, event) => sum + Number(event.args[index]), 0);
    const wholeS = sumOf('endToEnd', 2);
    expect(Math.abs(sumOf('stage', 2) - wholeS)).toBeLessThanOrEqual(
      Math.max(0.001 * values.length, 0.05 * wholeS),
    );
  });

  test('a drained worker leaves nothing claimed', async () => {
    const fixture = await started();
    const id = await fixture.submit(1);
    await waitFor(async () => (await fixture.record(id)).status === 'succeeded');
    await fixture.worker.drain();
    const late = await fixture.submit(2);
    expect((await fixture.record(late)).status).toBe('queued');
    expect(await fixture.queue.workers()).toEqual([]);
  });
});
