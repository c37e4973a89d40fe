/** Ensembles on the durable queue: payloads and outcomes inline and apart, and nothing left behind. */
import { randomBytes } from 'node:crypto';
import { classOf, type ModelManifest } from '@inferry/contracts';
import { createBullmqQueue, type JobQueue } from '@inferry/queue';
import { systemClock } from '@inferry/runtime';
import { type RedisServer, startRedisServer, waitFor } from '@inferry/testkit';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { answerOf, type Fixture, fixtureOn, modelManifest } from '../worker.fixture.ts';
import { ensembleOf } from './lane.fixture.ts';

let redis: RedisServer;
beforeAll(async () => {
  redis = await startRedisServer();
});
afterAll(async () => {
  await redis[Symbol.asyncDispose]();
});

type OnRedis = Fixture<typeof systemClock>;

const opened: { readonly queue: JobQueue; readonly fixture: OnRedis }[] = [];
afterEach(async () => {
  for (const { queue, fixture } of opened.splice(0)) {
    await fixture.worker.close();
    await queue.close();
  }
});

const rows = { maxBatchSize: 2_048 };
const simulated = { runMs: 5, rowMs: 0, failOn: null, hangOn: null, crashOn: null };
const echo = { ...modelManifest, ...rows, simulated };
const twice = ensembleOf(
  'twice',
  [
    { inputs: { x: 'x' }, outputs: { y: 'middle' } },
    { inputs: { x: 'middle' }, outputs: { y: 'y' } },
  ],
  rows,
);
const classes = [classOf('twice', '1'), classOf('echo', '1')] as const;
const ofTwice = { class: classes[0] };

async function started(
  prefix: string,
  processId: string,
  manifests: readonly ModelManifest[],
): Promise<OnRedis> {
  const connection = { url: redis.url, prefix };
  const queue = createBullmqQueue({ ...connection, clock: systemClock, processId });
  await waitFor(async () => (await queue.ping()) !== undefined);
  const fixture = fixtureOn({
    clock: systemClock,
    manifests,
    queue,
    // Outcomes come to the process that the queue knows.
    deps: { workerId: processId, payloadReaderOptions: connection },
  });
  opened.push({ queue, fixture });
  expect((await fixture.worker.start()).ok).toBe(true);
  return fixture;
}

const newPrefix = (): string => `t${randomBytes(4).toString('hex')}`;

test('jobs of one and of a thousand rows are answered by two workers, and none is left', async () => {
  const prefix = newPrefix();
  const fixture = await started(prefix, 'p1', [echo, twice]);
  const other = await started(prefix, 'p2', [echo, twice]);
  const ids = await Promise.all(
    Array.from({ length: 40 }, (_, i) =>
      fixture.submit(i, { ...ofTwice, rows: i % 2 === 0 ? 1 : 1_000 }),
    ),
  );
  const ends = ids.map((id) => fixture.queue.outcome(id, AbortSignal.timeout(30_000)));
  const records = await Promise.all(ends);
  expect(records.map((record) => record && answerOf(record))).toEqual(ids.map((_, i) => i));
  expect(records.map((record) => record?.attempt)).toEqual(ids.map(() => 1));
  expect(await fixture.queue.stats(classes)).toMatchObject([
    { waiting: 0, active: 0 },
    { waiting: 0, active: 0 },
  ]);
  // Eighty steps; those that waited together ran together.
  expect(fixture.runs.length + other.runs.length).toBeLessThan(80);
});

test('a job that is canceled takes its steps out of the line', async () => {
  // Nobody here runs what its steps need.
  const elsewhere = { ...echo, instances: [{ kind: 'cuda', count: 1 }] } as const;
  const { queue, record, submit } = await started(newPrefix(), 'p1', [elsewhere, twice]);
  const id = await submit(3, { ...ofTwice, rows: 1_000 });
  const waiting = async () => (await queue.stats([classes[1]]))[0]?.waiting;
  await waitFor(async () => (await waiting()) === 1, { what: 'the first step' });
  await queue.cancel(id, 'not wanted');
  await waitFor(async () => (await waiting()) === 0, { what: 'the step to be canceled' });
  expect((await record(id)).status).toBe('canceled');
});
