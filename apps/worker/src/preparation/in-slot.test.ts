/** Jobs of a real session whose compute thread prepares them. */
import {
  classOf,
  encodeInput,
  type JobEnvelope,
  type JobId,
  type JobRecord,
  type ModelManifest,
  newJobId,
} from '@inferry/contracts';
import { createOnnxBackend } from '@inferry/inference';
import { invariant, seededRandom, systemClock, VirtualClock } from '@inferry/runtime';
import { repositoryPath } from '@inferry/testkit';
import { afterEach, expect, test } from 'vitest';
import { IdleTime } from '../idle-time.ts';
import { Slots } from '../slots.ts';
import { type Fixture, fixtureOn, modelManifest, takesAll } from '../worker.fixture.ts';

type Real = Fixture<typeof systemClock>;

/** The square of each value; 16 and more make the run throw. */
const picky: ModelManifest = {
  ...modelManifest,
  name: 'picky',
  backend: 'onnxruntime',
  file: repositoryPath('packages/testkit/fixtures/models/picky/1/model.onnx'),
  inputs: [{ name: 'x', datatype: 'INT64', shape: [-1, 1] }],
  outputs: [{ name: 'y', datatype: 'INT64', shape: [-1, 1] }],
  simulated: null,
  maxBatchSize: 8,
  warmupRows: [1],
};
const random = seededRandom(3);
const open: Real[] = [];
afterEach(async () => {
  for (const fixture of open.splice(0)) await fixture.worker.close();
});

function worker(instances = 1): Real {
  const fixture = fixtureOn({
    clock: systemClock,
    manifests: [{ ...picky, instances: [{ kind: 'cpu', count: instances }] }],
    deps: { backend: createOnnxBackend(), prepareIn: 'compute' },
  });
  open.push(fixture);
  return fixture;
}

/** A job whose input holds `value`; null makes a payload that nobody can read. */
async function submit({ queue }: Real, value: bigint | null) {
  const bytes = new Uint8Array(BigInt64Array.of(value ?? 0n).buffer);
  const tensors = [{ name: 'x', datatype: 'INT64', shape: [1, 1], bytes }] as const;
  const payload =
    value === null ? new Uint8Array([9, 9]) : encodeInput({ form: 'tensors', tensors });
  const id = newJobId(systemClock.nowMs(), random);
  const job: JobEnvelope = {
    v: 1,
    id,
    class: classOf(picky.name, picky.version),
    tenant: 'default',
    priority: 'normal',
    rows: 1,
    payloadBytes: payload.length,
    mode: 'async',
    gateway: null,
    requestId: 'req',
    admissionMs: 1,
    deadlineMs: 60_000,
    queueTimeoutMs: 60_000,
    executionTimeoutMs: 10_000,
    attemptsMax: 3,
    retentionMs: 60_000,
    metadata: {},
  };
  invariant((await queue.enqueue(job, payload, takesAll)).ok, 'the queue has room');
  return id;
}

async function ended({ queue }: Real, ids: readonly JobId[]): Promise<JobRecord[]> {
  const signal = AbortSignal.timeout(20_000);
  const records = await Promise.all(ids.map((id) => queue.outcome(id, signal)));
  return records.map((record) => {
    invariant(record !== undefined, 'the job ends');
    return record;
  });
}

function answer({ outcome }: JobRecord): bigint | string | undefined {
  if (outcome?.output?.form !== 'tensors') return outcome?.error?.code;
  const bytes = outcome.output.tensors[0]?.bytes.slice();
  return bytes === undefined ? undefined : new BigInt64Array(bytes.buffer)[0];
}

test('jobs that waited run together, each on its own input', async () => {
  const fixture = worker(2);
  const ids = await Promise.all(Array.from({ length: 15 }, (_, i) => submit(fixture, BigInt(i))));
  expect((await fixture.worker.start()).ok).toBe(true);
  const records = await ended(fixture, ids);
  expect(records.map(answer)).toEqual(ids.map((_, i) => BigInt(i * i)));
  expect(Math.max(...records.map(({ outcome }) => outcome?.batchRows ?? 0))).toBeGreaterThan(1);
});

test('an input that cannot be read ends its own job, and the rest of the batch runs', async () => {
  const fixture = worker();
  const ids = [await submit(fixture, 2n), await submit(fixture, null), await submit(fixture, 3n)];
  await fixture.worker.start();
  expect((await ended(fixture, ids)).map(answer)).toEqual([4n, 'internal', 9n]);
});

test('a batch that the model refuses is divided, without preparing its items again', async () => {
  const fixture = worker();
  const values = [1n, 2n, 99n, 4n, 5n];
  const ids = await Promise.all(values.map((value) => submit(fixture, value)));
  await fixture.worker.start();
  expect((await ended(fixture, ids)).map(answer)).toEqual([1n, 4n, 'model_error', 16n, 25n]);
  expect(fixture.countOf('isolated')).toBe(1);
  expect(fixture.countOf('retried')).toBe(0);
});

test('the stages of every job add up to its time from end to end', async () => {
  const fixture = worker();
  const ids = await Promise.all(Array.from({ length: 12 }, (_, i) => submit(fixture, BigInt(i))));
  await fixture.worker.start();
  await ended(fixture, ids);
  await fixture.worker.drain();
  const wholes = fixture.events.filter((event) => event.name === 'endToEnd');
  const stages = fixture.events.filter((event) => event.name === 'stage');
  expect(wholes).toHaveLength(ids.length);
  for (const [i, whole] of wholes.entries()) {
    const parts = stages.slice(8 * i, 8 * i + 8).map((event) => Number(event.args[2]));
    const sumS = parts.reduce((sum, part) => sum + part, 0);
    const wholeS = Number(whole.args[1]);
    expect(Math.abs(sumS - wholeS)).toBeLessThanOrEqual(Math.max(0.001, 0.05 * wholeS));
  }
});

test('a preparation that does not return in time is said to be stuck, and its slot stays taken', async () => {
  const clock = new VirtualClock();
  const stuck: string[] = [];
  const loaded = await createOnnxBackend().load(picky, { kind: 'cpu', index: 0 });
  invariant(loaded.ok, 'the model is there');
  const slots = new Slots([loaded.value], {
    clock,
    idleTime: new IdleTime(clock),
    graceMs: 1,
    onStuck: (what) => stuck.push(what),
    onLateReturn: () => undefined,
  });
  const slot = await slots.acquire();
  await slot.prepare(1, 100, () => Promise.resolve());
  await clock.advance(100);
  expect(stuck).toEqual([]);
  void slot.prepare(1, 100, () => new Promise(() => undefined));
  await clock.advance(100);
  expect(stuck).toEqual(['a preparation']);
  expect(slot.running).toEqual({ startedAtMs: clock.nowMs() - 100, rows: 1 });
  await loaded.value.close();
});
