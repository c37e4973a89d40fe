/** Jobs of a real session whose compute thread prepares them. */
import {
  classOf,
  defaultLimits,
  encodeInput,
  type JobEnvelope,
  type JobId,
  type JobRecord,
  type ModelManifest,
  newJobId,
} from '@inferry/contracts';
import { createOnnxBackend, type ModelInstance } from '@inferry/inference';
import { type Clock, invariant, seededRandom, systemClock, VirtualClock } from '@inferry/runtime';
import { repositoryPath } from '@inferry/testkit';
import { afterEach, expect, test } from 'vitest';
import { IdleTime } from '../idle-time.ts';
import { Slots } from '../slots.ts';
import { type Fixture, fixtureOn, modelManifest, takesAll } from '../worker.fixture.ts';
import { SlotPreparation } from './in-slot.ts';

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
const cls = classOf(picky.name, picky.version);
const cpu = { kind: 'cpu', index: 0 } as const;
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

function tensorsOf(value: bigint) {
  const bytes = new Uint8Array(BigInt64Array.of(value).buffer);
  return [{ name: 'x', datatype: 'INT64', shape: [1, 1], bytes }] as const;
}

function payloadOf(value: bigint): Uint8Array {
  return encodeInput({ form: 'tensors', tensors: tensorsOf(value) });
}

function slotsOf(instance: ModelInstance, clock: Clock, stuck: string[] = []): Slots {
  return new Slots([instance], {
    clock,
    idleTime: new IdleTime(clock),
    graceMs: 1,
    onStuck: (what) => stuck.push(what),
    onLateReturn: () => undefined,
  });
}

/** A job whose input holds `value`; null makes a payload that nobody can read. */
async function submit({ queue }: Real, value: bigint | null) {
  const payload = value === null ? new Uint8Array([9, 9]) : payloadOf(value);
  const id = newJobId(systemClock.nowMs(), random);
  const job: JobEnvelope = {
    v: 1,
    id,
    class: cls,
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

test('where inputs are prepared is told, and that the thread was busy with it', async () => {
  const fixture = worker();
  const id = await submit(fixture, 2n);
  await fixture.worker.start();
  await ended(fixture, [id]);
  const told = fixture.events.filter(({ name }) => name === 'preparation');
  expect(told.map(({ args }) => args)).toEqual([['picky', 'compute', 'none']]);
  const busyS = fixture.events.filter(({ name }) => name === 'busy').map(({ args }) => args[1]);
  // The preparation, and the run.
  expect(busyS).toHaveLength(2);
  for (const seconds of busyS) expect(seconds).toBeGreaterThan(0);
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
    const wholeS = Number(whole.args[2]);
    expect(Math.abs(sumS - wholeS)).toBeLessThanOrEqual(Math.max(0.001, 0.05 * wholeS));
  }
});

test('a run that began for jobs that ended meanwhile has a limit like others', async () => {
  const clock = new VirtualClock();
  const stuck: string[] = [];
  const loaded = await createOnnxBackend().load(picky, { kind: 'cpu', index: 0 });
  invariant(loaded.ok, 'the model is there');
  const preparer = {
    prepare: () => Promise.reject(new Error('nothing is prepared')),
    holds: () => false,
    drop: () => undefined,
    unwanted: () => new Promise<void>(() => undefined),
  };
  const { device, loadMs, provider, warmupRuns } = loaded.value;
  const run: ModelInstance['run'] = (...given) => loaded.value.run(...given);
  const close = (): Promise<void> => loaded.value.close();
  const instance = { device, loadMs, provider, warmupRuns, run, close, preparer };
  const slots = new Slots([instance], {
    clock,
    idleTime: new IdleTime(clock),
    graceMs: 1,
    onStuck: (what) => stuck.push(what),
    onLateReturn: () => undefined,
  });
  const slot = await slots.acquire();
  void new SlotPreparation(slot, { clock, limits: defaultLimits, manifest: picky }).close();
  expect(slot.running).not.toBeNull();
  await clock.advance(picky.executionTimeoutMs);
  expect(stuck).toEqual(['a run']);
  await loaded.value.close();
});

test('a preparation that does not return in time is said to be stuck, and its slot stays taken', async () => {
  const clock = new VirtualClock();
  const stuck: string[] = [];
  const loaded = await createOnnxBackend().load(picky, cpu);
  invariant(loaded.ok, 'the model is there');
  const slot = await slotsOf(loaded.value, clock, stuck).acquire();
  await slot.prepare(1, 100, () => Promise.resolve());
  await clock.advance(100);
  expect(stuck).toEqual([]);
  void slot.prepare(1, 100, () => new Promise(() => undefined));
  await clock.advance(100);
  expect(stuck).toEqual(['a preparation']);
  expect(slot.running).toEqual({ startedAtMs: clock.nowMs() - 100, rows: 1 });
  await loaded.value.close();
});

test('each run of a divided batch counts with what its rows took to be prepared', async () => {
  const clock = new VirtualClock();
  const loaded = await createOnnxBackend().load(picky, cpu);
  invariant(loaded.ok, 'the model is there');
  const slot = await slotsOf(loaded.value, clock).acquire();
  await slot.prepare(4, 1_000, () => clock.advance(40));
  const run = (...values: bigint[]) => {
    const items = values.map((value) => ({ tensors: tensorsOf(value), rows: 1 }));
    return slot.run(items, [], 1_000);
  };
  const failed = { kind: 'returned', result: { ok: false } };
  expect(await run(1n, 99n, 3n, 4n)).toMatchObject({ ...failed, preparedMs: 40 });
  expect(await run(1n, 99n)).toMatchObject({ ...failed, preparedMs: 20 });
  const succeeded = { kind: 'returned', result: { ok: true } };
  expect(await run(1n)).toMatchObject({ ...succeeded, preparedMs: 10 });
  expect(await run(3n, 4n)).toMatchObject({ ...succeeded, preparedMs: 20 });
  await loaded.value.close();
});

test('an input that breaks the thread ends alone, whatever was prepared with it', async () => {
  const loaded = await createOnnxBackend().load(picky, cpu, {
    url: new URL('./breaking-thread.fixture.ts', import.meta.url).href,
    data: { manifests: new Map([[cls, picky]]), payloadReaderOptions: null, jpegDecoder: 'auto' },
  });
  invariant(loaded.ok, 'the model is there');
  const slot = await slotsOf(loaded.value, systemClock).acquire();
  const preparation = new SlotPreparation(slot, {
    clock: systemClock,
    limits: defaultLimits,
    manifest: picky,
  });
  const payloads = [payloadOf(1n), payloadOf(2n), new Uint8Array(1), payloadOf(3n), payloadOf(4n)];
  const items = payloads.map((payload) => ({ id: newJobId(0, random), rows: 1, payload }));
  const results = await preparation.prepare(cls, items);
  expect(results.map(({ prepared }) => prepared.kind)).toEqual([
    'ready',
    'ready',
    'refused',
    'ready',
    'ready',
  ]);
  await preparation.close();
  await loaded.value.close();
});
